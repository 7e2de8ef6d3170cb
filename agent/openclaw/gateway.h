// One call of an OpenClaw gateway's WebSocket RPC (OpenClaw: docs/gateway/protocol.md), from the
// container's own loopback, where the gateway token grants every scope.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <stop_token>
#include <string>

#include "agent/docker/network_namespace.h"
#include "common/base/secret_string.h"

namespace mtp {

inline constexpr size_t kMaxGatewayParamsBytes = 1 << 20;
inline constexpr size_t kMaxGatewayPayloadBytes = 4 << 20;

// Connects, authenticates with `token`, calls `method` and returns the payload as JSON text (`null`
// when there is none). `params_json` is a JSON object; empty means `{}`. While the gateway starts
// it is asked again until `timeout`. Blocks at most `timeout`. Thread-safe.
//
// Errors: INVALID_ARGUMENT for malformed parameters and for what the gateway calls INVALID_REQUEST
// (an unknown method included), UNAUTHENTICATED when the token is not the gateway's,
// PERMISSION_DENIED for a missing scope, NOT_FOUND when the process is gone, UNAVAILABLE when
// nothing listens or the gateway is still starting when time runs out, DEADLINE_EXCEEDED when the
// answer does not come, CANCELLED after a stop request, RESOURCE_EXHAUSTED for an answer over 4
// MiB, INTERNAL for any other error of the gateway, with its code and words. The token is in none
// of them.
absl::StatusOr<std::string> CallGateway(const ContainerProcess& process, uint16_t port,
                                        const SecretString& token, const std::string& method,
                                        const std::string& params_json, absl::Duration timeout,
                                        std::stop_token stop = {});

}  // namespace mtp
