#include "controller/hosts/agent_session.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/tls/callback_threads.h"

namespace mtp {
namespace {

// More than any host of ours tells of: what it says is held here.
constexpr size_t kMaxTenants = 4096;
constexpr size_t kMaxKeptData = 100'000;
constexpr size_t kMaxSnapshotActions = 20'000;

bool IsTooMuch(const HostObservation& seen) {
  return seen.tenants.size() > kMaxTenants || seen.kept_data.size() > kMaxKeptData;
}

}  // namespace

// One watch stream; owns itself until OnDone.
class AgentSession::Stream final : public grpc::ClientReadReactor<v1::AgentEvent> {
 public:
  explicit Stream(std::shared_ptr<AgentSession> session) : session_(std::move(session)) {}

  void Begin(const std::string& instance) {
    request_.set_controller_instance(instance);
    session_->stub_->async()->WatchAgent(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    session_->OnEvent(this, event_);
    StartRead(&event_);
  }
  void OnDone(const grpc::Status& status) override {
    // Until it forgets this stream, the session may still cancel it.
    session_->OnEnd(status);
    delete this;
  }

 private:
  std::shared_ptr<AgentSession> session_;
  grpc::ClientContext context_;
  v1::WatchAgentRequest request_;
  v1::AgentEvent event_;
};

AgentSession::AgentSession(AgentSessions* owner, std::string host, std::string address,
                           std::string serial)
    : owner_(owner),
      host_(std::move(host)),
      address_(std::move(address)),
      serial_(std::move(serial)),
      channel_(owner->callbacks_.connect(host_, address_)),
      stub_(v1::AgentService::NewStub(channel_)),
      reconnect_(owner->options_.min_reconnect) {
  tls::KeepCallbackThreads();
}

void AgentSession::Open() {
  Stream* stream = nullptr;
  int64_t number = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_ || stream_ != nullptr) return;
    stream = stream_ = new Stream(shared_from_this());
    number = ++stream_number_;
    snapshot_complete_ = false;
    snapshot_ = HostObservation();
    snapshot_actions_.clear();
    last_event_ = owner_->clock_->Monotonic();
    stream->Begin(owner_->instance_);
  }
  owner_->executor_->PostAfter(owner_->options_.silence_timeout,
                               [self = shared_from_this(), number] { self->CheckSilence(number); });
}

void AgentSession::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  if (stream_ != nullptr) stream_->Cancel();
  const auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stream_ == nullptr; };
  mutex_.Await(absl::Condition(&ended));
}

void AgentSession::CheckSilence(int64_t stream_number) {
  absl::Duration again;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_ || stream_ == nullptr || stream_number_ != stream_number) return;
    const absl::Duration silent = owner_->clock_->Monotonic() - last_event_;
    again = owner_->options_.silence_timeout - silent;
    if (again <= absl::ZeroDuration()) {
      stream_->Cancel();
      return;
    }
    owner_->executor_->PostAfter(
        again, [self = shared_from_this(), stream_number] { self->CheckSilence(stream_number); });
  }
}

void AgentSession::OnEvent(Stream* stream, const v1::AgentEvent& event) {
  bool completes_snapshot = false;
  bool live = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stream != stream_ || closed_ || told_too_much_) return;
    last_event_ = owner_->clock_->Monotonic();
    live = snapshot_complete_;
    if (!live) {
      if (event.has_host()) snapshot_.status = event.host();
      if (event.has_tenant()) snapshot_.tenants[event.tenant().tenant()] = event.tenant().status();
      if (event.event_case() == v1::AgentEvent::kTenantGone)
        snapshot_.tenants.erase(event.tenant_gone());
      if (event.has_kept_data()) {
        snapshot_.kept_data = {event.kept_data().tenants().begin(),
                               event.kept_data().tenants().end()};
      }
      if (event.has_action()) snapshot_actions_.push_back(event.action());
      if (IsTooMuch(snapshot_) || snapshot_actions_.size() > kMaxSnapshotActions) {
        GiveUp();
        return;
      }
      if (event.snapshot_complete()) completes_snapshot = snapshot_complete_ = true;
    }
  }
  if (completes_snapshot) OnSnapshotComplete();
  if (live) {
    bool too_much = false;
    owner_->observations_->Update(host_, [&](HostObservation& seen) {
      seen.last_seen = owner_->clock_->Now();
      if (event.has_host()) seen.status = event.host();
      if (event.has_tenant()) seen.tenants[event.tenant().tenant()] = event.tenant().status();
      if (event.event_case() == v1::AgentEvent::kTenantGone)
        seen.tenants.erase(event.tenant_gone());
      if (event.has_kept_data()) {
        seen.kept_data = {event.kept_data().tenants().begin(), event.kept_data().tenants().end()};
      }
      too_much = IsTooMuch(seen);
    });
    if (too_much) {
      absl::MutexLock lock(&mutex_);
      GiveUp();
      return;
    }
    if (event.has_host()) RememberCapacity(event.host());
  }
  if (live && event.has_action()) owner_->callbacks_.on_action(host_, event.action());
  if ((live || completes_snapshot) && owner_->callbacks_.on_stamp) {
    owner_->callbacks_.on_stamp(host_, event.lease_stamp());
  }
}

void AgentSession::GiveUp() {
  // What it said is not kept; it may try again, seldom.
  snapshot_ = HostObservation();
  snapshot_actions_.clear();
  told_too_much_ = true;
  reconnect_ = owner_->options_.max_reconnect;
  if (stream_ != nullptr) stream_->Cancel();
}

void AgentSession::OnSnapshotComplete() {
  v1::HostStatus status;
  std::vector<v1::Action> actions;
  owner_->observations_->Update(host_, [&](HostObservation& seen) {
    absl::MutexLock lock(&mutex_);
    actions = std::exchange(snapshot_actions_, {});
    seen = std::move(snapshot_);
    seen.connected = true;
    seen.last_seen = owner_->clock_->Now();
    reconnect_ = owner_->options_.min_reconnect;
    status = seen.status;
  });
  RememberCapacity(status);
  owner_->callbacks_.on_connected(host_);
  for (const v1::Action& action : actions) owner_->callbacks_.on_action(host_, action);
}

void AgentSession::OnEnd(const grpc::Status& status) {
  absl::Duration delay;
  bool closed = false;
  bool too_much = false;
  {
    absl::MutexLock lock(&mutex_);
    closed = closed_;
    too_much = std::exchange(told_too_much_, false);
    delay = reconnect_;
    reconnect_ = std::min(2 * reconnect_, owner_->options_.max_reconnect);
  }
  if (!closed) {
    owner_->observations_->Update(host_, [&](HostObservation& seen) {
      seen.connected = false;
      if (too_much) {
        seen.tenants.clear();
        seen.kept_data.clear();
        seen.error = absl::StrCat("the agent at ", address_,
                                  " tells of more than a host can have; look at its log");
        return;
      }
      seen.error = status.error_code() == grpc::StatusCode::CANCELLED
                       ? "the agent fell silent"
                       : absl::StrCat("the agent at ", address_,
                                      " cannot be reached: ", status.error_message());
    });
  }
  // Nothing of the owner is used after this: Close() waits for it.
  absl::MutexLock lock(&mutex_);
  stream_ = nullptr;
  if (closed_) return;
  owner_->executor_->PostAfter(delay, [self = weak_from_this()] {
    if (auto session = self.lock()) session->Open();
  });
}

void AgentSession::RememberCapacity(const v1::HostStatus& status) {
  if (status.allocatable_mib() == 0) return;
  auto row = owner_->tables_.hosts.Get(host_);
  if (!row.ok() || (row->value.allocatable_mib() == status.allocatable_mib() &&
                    row->value.memory_total_mib() == status.memory_total_mib())) {
    return;
  }
  row->value.set_allocatable_mib(status.allocatable_mib());
  row->value.set_memory_total_mib(status.memory_total_mib());
  kv::Txn txn;
  txn.RequireRevision(owner_->tables_.hosts.Key(host_), row->revision);
  owner_->tables_.hosts.Put(txn, host_, row->value);
  // A lost race or a full disk costs only freshness: the next report tries again.
  (void)owner_->store_->Commit(txn).status();
}

}  // namespace mtp
