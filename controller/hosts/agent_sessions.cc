#include "controller/hosts/agent_sessions.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "controller/hosts/agent_session.h"

namespace mtp {
namespace {

constexpr absl::Duration kGrantTimeout = absl::Seconds(5);

}  // namespace

AgentSessions::AgentSessions(kv::Store* store, Observations* observations, const Clock* clock,
                             Executor* executor, std::string instance, Callbacks callbacks,
                             Options options)
    : store_(store),
      tables_(store),
      observations_(observations),
      clock_(clock),
      executor_(executor),
      instance_(std::move(instance)),
      callbacks_(std::move(callbacks)),
      options_(options),
      self_(std::make_shared<AgentSessions*>(this)) {}

AgentSessions::~AgentSessions() { Stop(); }

absl::Status AgentSessions::Start() {
  auto watch = store_->WatchPrefix(
      tables_.hosts.prefix(), store_->Revision(),
      [this, self = std::weak_ptr<AgentSessions*>(self_)](const std::vector<kv::Event>&) {
        executor_->Post([self] {
          if (auto alive = self.lock()) (*alive)->FollowHosts();
        });
      });
  if (!watch.ok()) return watch.status();
  watch_ = *std::move(watch);
  FollowHosts();
  return absl::OkStatus();
}

void AgentSessions::Stop() {
  watch_.reset();
  std::map<std::string, std::shared_ptr<AgentSession>> sessions;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    sessions.swap(sessions_);
  }
  for (auto& [host, session] : sessions) session->Close();
}

void AgentSessions::FollowHosts() {
  auto rows = tables_.hosts.List();
  if (!rows.ok()) return;
  std::vector<std::shared_ptr<AgentSession>> closing;
  std::vector<std::shared_ptr<AgentSession>> opening;
  std::vector<std::string> gone;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    std::map<std::string, std::shared_ptr<AgentSession>> kept;
    for (const auto& row : *rows) {
      auto it = sessions_.find(row.id);
      if (it != sessions_.end() && it->second->address() == row.value.agent_address() &&
          it->second->serial() == row.value.certificate_serial()) {
        kept.insert(*it);
        sessions_.erase(it);
        continue;
      }
      auto session = std::make_shared<AgentSession>(this, row.id, row.value.agent_address(),
                                                    row.value.certificate_serial());
      kept.emplace(row.id, session);
      opening.push_back(session);
    }
    for (auto& [host, session] : sessions_) {
      closing.push_back(session);
      if (kept.find(host) == kept.end()) gone.push_back(host);
    }
    sessions_ = std::move(kept);
  }
  for (auto& session : closing) session->Close();
  for (const std::string& host : gone) observations_->Remove(host);
  for (auto& session : opening) session->Open();
}

absl::StatusOr<v1::Action> AgentSessions::EnsureAction(const std::string& host,
                                                       const v1::EnsureActionRequest& request) {
  MTP_ASSIGN_OR_RETURN(const std::shared_ptr<AgentSession> session, Connected(host));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
  v1::Action action;
  const grpc::Status status = session->stub().EnsureAction(&context, request, &action);
  if (!status.ok()) return Annotate(FromGrpc(status), absl::StrCat("host ", host));
  return action;
}

absl::StatusOr<v1::Action> AgentSessions::CancelAction(const std::string& host,
                                                       const std::string& key) {
  MTP_ASSIGN_OR_RETURN(const std::shared_ptr<AgentSession> session, Connected(host));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_timeout));
  v1::CancelActionRequest request;
  request.set_key(key);
  v1::Action action;
  const grpc::Status status = session->stub().CancelAction(&context, request, &action);
  if (!status.ok()) return Annotate(FromGrpc(status), absl::StrCat("host ", host));
  return action;
}

void AgentSessions::GrantLease(const std::string& host, const v1::GrantLeaseRequest& request) {
  const auto session = Connected(host);
  if (!session.ok()) return;
  // Lives until its answer is there. An answer that does not come changes nothing: the lease counts
  // as granted, and the next event brings the next one.
  struct Grant {
    std::shared_ptr<AgentSession> session;
    v1::GrantLeaseRequest request;
    v1::GrantLeaseResponse response;
    grpc::ClientContext context;
  };
  const auto grant = std::make_shared<Grant>();
  grant->session = *session;
  grant->request = request;
  grant->context.set_deadline(absl::ToChronoTime(absl::Now() + kGrantTimeout));
  grant->session->stub().async()->GrantLease(&grant->context, &grant->request, &grant->response,
                                             [grant](const grpc::Status&) {});
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> AgentSessions::ConnectedChannel(
    const std::string& host) const {
  MTP_ASSIGN_OR_RETURN(const std::shared_ptr<AgentSession> session, Connected(host));
  return session->channel();
}

absl::StatusOr<std::shared_ptr<AgentSession>> AgentSessions::Connected(
    const std::string& host) const {
  const HostObservation seen = observations_->GetHost(host);
  {
    absl::MutexLock lock(&mutex_);
    const auto it = sessions_.find(host);
    if (it != sessions_.end() && seen.connected) return it->second;
    // While the controller starts or ends there are no sessions, and there are hosts all the same.
    if (it == sessions_.end() && absl::IsNotFound(tables_.hosts.Get(host).status())) {
      return absl::NotFoundError(absl::StrCat("there is no host ", host));
    }
  }
  return absl::UnavailableError(
      absl::StrCat("host ", host,
                   " is not connected: ", seen.error.empty() ? "not heard from yet" : seen.error));
}

}  // namespace mtp
