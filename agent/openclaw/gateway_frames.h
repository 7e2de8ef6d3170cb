// The frames of the gateway's WebSocket RPC as values; pure (OpenClaw:
// docs/gateway/protocol/handshake.md and transport.md).
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "common/base/secret_string.h"

namespace mtp {

// The request that authenticates. Holds the token: wipe it after sending.
std::string ConnectFrame(std::string_view id, const SecretString& token);

// INVALID_ARGUMENT when the parameters are no JSON object (empty means `{}`), are over 1 MiB, or
// the method is no name (letters, digits, `._-`, at most 128).
absl::StatusOr<std::string> RequestFrame(std::string_view id, std::string_view method,
                                         std::string_view params_json);

struct GatewayFrame {
  enum class Kind {
    kChallenge,  // The server's first word.
    kAnswer,     // To the request of `id`; `status` and `payload_json` say how.
    kOther,      // An event, or a kind that this build does not know; passed over.
  };
  Kind kind = Kind::kOther;
  std::string id;
  absl::Status status;       // The gateway's error by the codes that gateway.h promises.
  bool retry = false;        // The method has not run; the same request may be sent again.
  std::string payload_json;  // `null` when there is none.
};

// INTERNAL when the text is no frame.
absl::StatusOr<GatewayFrame> ParseGatewayFrame(std::string_view text);

}  // namespace mtp
