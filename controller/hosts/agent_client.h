// The controller's way to one host's agent, as operations see it. The real one speaks gRPC; the
// simulation has its own over a faulty virtual network.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe.
class AgentDirectory {
 public:
  virtual ~AgentDirectory() = default;
  // AgentService.EnsureAction on that host. UNAVAILABLE at once when the host is not connected;
  // otherwise within 10 s. The action's own failure is in the answer's state, not in the status.
  virtual absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                                  const v1::EnsureActionRequest& request) = 0;
  virtual absl::StatusOr<v1::Action> CancelAction(const std::string& host,
                                                  const std::string& key) = 0;
};

}  // namespace mtp
