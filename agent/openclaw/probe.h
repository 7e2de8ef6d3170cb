// Whether an OpenClaw lives and is ready: its HTTP probes, asked from inside the container's
// network namespace, so that no process is started in the container and no port need be published.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/docker/network_namespace.h"

namespace mtp {

inline constexpr uint16_t kGatewayPort = 18789;

// How long the agent waits for an answer, to a probe or a call, that one which lives gives at once.
inline constexpr absl::Duration kGatewayTimeout = absl::Seconds(5);

// So many of the parts that keep it from being ready are told of.
inline constexpr size_t kMaxFailing = 32;

struct ProbeResult {
  bool live = false;   // `/healthz` answers 200: the gateway's process serves.
  bool ready = false;  // `/readyz` answers 200 and says so: tenants can be served.
  // Parts that keep it from being ready, as `/readyz` names them to local callers: `telegram`,
  // `startup-sidecars` … At most kMaxFailing.
  std::vector<std::string> failing;
  std::optional<absl::Duration> uptime;
  // One line for people: `ready`, `starts: nothing listens on port 18789 yet`, `not ready:
  // telegram` …
  std::string message;
};

// Asks `/readyz`, and `/healthz` when that is not 200. A gateway that does not answer is a result
// (not live), not an error. Errors: NOT_FOUND when the process is gone or not of that container,
// PERMISSION_DENIED without the right to enter its namespace. Blocks at most `timeout` in all.
// Thread-safe.
absl::StatusOr<ProbeResult> ProbeGateway(const ContainerProcess& process, uint16_t port,
                                         absl::Duration timeout);

// What the two answers say; pure. A status of 0 means no answer.
ProbeResult InterpretProbe(int readyz_status, std::string_view readyz_body, int healthz_status);

}  // namespace mtp
