// TrustKeeper's way to the agents.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>

#include "controller/hosts/agent_channels.h"
#include "controller/hosts/agent_sessions.h"
#include "mtp/v1/agent.pb.h"

namespace grpc {
class ClientContext;
}

namespace mtp {

// Thread-safe; for one call at a time. Calls end within 10 s.
class AgentTrust {
 public:
  // Both must outlive it.
  AgentTrust(const AgentSessions* sessions, const AgentChannels* channels)
      : sessions_(sessions), channels_(channels) {}

  // As TrustKeeper::Edges.
  absl::StatusOr<v1::HostTrust> Replace(const std::string& host,
                                        const v1::ReplaceTrustRequest& request);
  absl::Status Shows(const std::string& host, const std::string& serial);
  // Ends the call that is under way, and refuses all later ones (CANCELLED).
  void Stop();

 private:
  grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                    const v1::ReplaceTrustRequest& request, v1::HostTrust* trust);

  const AgentSessions* const sessions_;
  const AgentChannels* const channels_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace mtp
