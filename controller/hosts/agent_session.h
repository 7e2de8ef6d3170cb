// The session with one host's agent. Internal to controller/hosts.
#pragma once

#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/hosts/agent_sessions.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {

// Thread-safe. Reconnects by itself until Close().
class AgentSession : public std::enable_shared_from_this<AgentSession> {
 public:
  AgentSession(AgentSessions* owner, std::string host, std::string address, std::string serial);

  void Open();
  // Ends the stream and waits until no callback of it runs any more.
  void Close();

  const std::string& address() const { return address_; }
  const std::string& serial() const { return serial_; }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  v1::AgentService::Stub& stub() { return *stub_; }

 private:
  class Stream;

  void OnEvent(Stream* stream, const v1::AgentEvent& event);
  void OnEnd(const grpc::Status& status);
  void OnSnapshotComplete();
  // Of a stream that tells of more than a host can have.
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckSilence(int64_t stream_number);
  void RememberCapacity(const v1::HostStatus& status);

  AgentSessions* const owner_;
  const std::string host_;
  const std::string address_;
  const std::string serial_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AgentService::Stub> stub_;

  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int64_t stream_number_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration last_event_ ABSL_GUARDED_BY(mutex_);
  absl::Duration reconnect_ ABSL_GUARDED_BY(mutex_);
  bool snapshot_complete_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_too_much_ ABSL_GUARDED_BY(mutex_) = false;
  // Collects a snapshot, which replaces the observation as a whole once complete.
  HostObservation snapshot_ ABSL_GUARDED_BY(mutex_);
  // Those of which the agent told before its snapshot was complete.
  std::vector<v1::Action> snapshot_actions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
