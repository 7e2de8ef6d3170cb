// StateCopies' way to the agents.
#pragma once

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <string>

#include "controller/hosts/agent_sessions.h"
#include "mtp/v1/agent.pb.h"

namespace grpc {
class ClientContext;
}

namespace mtp {

// Thread-safe; for one call at a time.
class AgentCopies {
 public:
  // Must outlive it.
  explicit AgentCopies(const AgentSessions* sessions) : sessions_(sessions) {}

  // AgentService.StoreState on that host, within ten minutes.
  absl::Status Send(const std::string& host, const v1::StoreStateRequest& request);
  // Ends the call that is under way, and refuses all later ones (CANCELLED).
  void Stop();

 private:
  const AgentSessions* const sessions_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace mtp
