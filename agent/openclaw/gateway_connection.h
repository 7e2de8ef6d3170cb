// One connection to a gateway, from the WebSocket handshake to the answer of one call. Whatever is
// at the other end may send anything.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/secret_string.h"

namespace mtp {

// The id that a request must carry.
inline constexpr std::string_view kGatewayCallId = "2";

// How the connection ended.
struct GatewayOutcome {
  absl::StatusOr<std::string> payload = absl::DeadlineExceededError("the gateway does not answer");
  bool retry = false;  // The method has not run.
};

// Authenticates with `token`, sends `request` (RequestFrame) and waits for its answer, at most
// until `deadline`. `socket` is connected and non-blocking; `port` is what the handshake says.
// Errors as CallGateway's, which also asks again. Blocks; thread-safe.
GatewayOutcome CallOverConnection(FileDescriptor socket, uint16_t port, const SecretString& token,
                                  const std::string& request,
                                  std::chrono::steady_clock::time_point deadline,
                                  const std::stop_token& stop);

}  // namespace mtp
