// One session per host: a watch stream that keeps the observations current, and calls to the agent.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/kv/store.h"
#include "controller/hosts/agent_client.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"

namespace grpc {
class Channel;
}

namespace mtp {

class AgentSession;

// Thread-safe. Follows the host table: a host that joins is connected within a moment, one that is
// removed is dropped.
class AgentSessions final : public AgentDirectory {
 public:
  struct Options {
    // Deadline of one call. Default 10 s.
    absl::Duration call_timeout = absl::Seconds(10);
    // A stream without any event for this long is given up (agents send one every 5 s). Default 15
    // s.
    absl::Duration silence_timeout = absl::Seconds(15);
    // Time between attempts to connect: doubles between these. Default 0.5 s to 10 s.
    absl::Duration min_reconnect = absl::Milliseconds(500);
    absl::Duration max_reconnect = absl::Seconds(10);
  };
  struct Callbacks {
    // Makes the channel to a host's agent; the peer's identity is checked by its credentials.
    std::function<std::shared_ptr<grpc::Channel>(const std::string& host,
                                                 const std::string& address)>
        connect;
    // An action began, progressed or ended, or was told of by a host that is back; by then the host
    // is connected.
    std::function<void(const std::string& host, const v1::Action& action)> on_action;
    // The snapshot of a new stream is complete: whatever waits for this host should look again.
    std::function<void(const std::string& host)> on_connected;
    // An event of a connected host, with its stamp. Called on gRPC's threads: short. May be null.
    std::function<void(const std::string& host, const v1::LeaseStamp& stamp)> on_stamp;
  };

  AgentSessions(kv::Store* store, Observations* observations, const Clock* clock,
                Executor* executor, std::string instance, Callbacks callbacks, Options options);
  ~AgentSessions() override;

  absl::Status Start();
  // Ends all streams and waits for them.
  void Stop();

  absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                          const v1::EnsureActionRequest& request) override;
  absl::StatusOr<v1::Action> CancelAction(const std::string& host, const std::string& key) override;

  // AgentService.GrantLease on that host, without waiting for the answer; given up after 5 s.
  // Nothing when the host is not connected.
  void GrantLease(const std::string& host, const v1::GrantLeaseRequest& request);

  // The channel of a connected host, for streams that are passed through. UNAVAILABLE when not
  // connected, NOT_FOUND when there is no such host.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectedChannel(const std::string& host) const;

 private:
  friend class AgentSession;
  void FollowHosts();
  absl::StatusOr<std::shared_ptr<AgentSession>> Connected(const std::string& host) const;

  kv::Store* const store_;
  const Tables tables_;
  Observations* const observations_;
  const Clock* const clock_;
  Executor* const executor_;
  const std::string instance_;
  const Callbacks callbacks_;
  const Options options_;
  std::unique_ptr<kv::Watch> watch_;

  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Tells tasks that outlive this object that it is gone.
  std::shared_ptr<AgentSessions*> self_;
  std::map<std::string, std::shared_ptr<AgentSession>> sessions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
