#include "tests/unit/cli/fake_controller.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

namespace mtp::cli {

FakeController::FakeController() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(static_cast<v1::TenantService::Service*>(this));
  builder.RegisterService(static_cast<v1::HostService::Service*>(this));
  builder.RegisterService(static_cast<v1::FleetService::Service*>(this));
  builder.RegisterService(static_cast<v1::OperationService::Service*>(this));
  builder.RegisterService(static_cast<v1::BackupService::Service*>(this));
  builder.RegisterService(static_cast<v1::RolloutService::Service*>(this));
  server_ = builder.BuildAndStart();
}

FakeController::~FakeController() {
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

std::string FakeController::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status FakeController::Answer() {
  ++calls;
  if (refusals.empty()) return grpc::Status::OK;
  const grpc::Status refusal = refusals.front();
  refusals.pop_front();
  return refusal;
}

grpc::Status FakeController::Accept(v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  return Answer();
}

grpc::Status FakeController::ProvisionTenant(Context*, const v1::ProvisionTenantRequest* request,
                                             v1::ProvisionTenantResponse* response) {
  absl::MutexLock lock(&mutex_);
  provisions.push_back(*request);
  *response->mutable_placement() = placement;
  if (!request->validate_only()) *response->mutable_operation() = accepted;
  return Answer();
}

grpc::Status FakeController::RemoveTenant(Context*, const v1::RemoveTenantRequest* request,
                                          v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    removes.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::UpdateTenant(Context*, const v1::UpdateTenantRequest* request,
                                          v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    updates.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::StartTenant(Context*, const v1::StartTenantRequest*,
                                         v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::StopTenant(Context*, const v1::StopTenantRequest*,
                                        v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::RestartTenant(Context*, const v1::RestartTenantRequest*,
                                           v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest* request,
                                              grpc::ServerWriter<v1::LogChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  logs.push_back(*request);
  for (const v1::LogChunk& chunk : log) writer->Write(chunk);
  return Answer();
}

grpc::Status FakeController::ExecTenant(Context*, const v1::ExecTenantRequest* request,
                                        grpc::ServerWriter<v1::ExecOutput>* writer) {
  absl::MutexLock lock(&mutex_);
  execs.push_back(*request);
  for (const v1::ExecOutput& output : exec_output) writer->Write(output);
  return Answer();
}

grpc::Status FakeController::CallTenantGateway(Context*,
                                               const v1::CallTenantGatewayRequest* request,
                                               v1::CallTenantGatewayResponse* response) {
  absl::MutexLock lock(&mutex_);
  gateway_calls.push_back(*request);
  response->set_payload_json(gateway_answer);
  return Answer();
}

grpc::Status FakeController::CreateJoinToken(Context*, const v1::CreateJoinTokenRequest* request,
                                             v1::CreateJoinTokenResponse* response) {
  absl::MutexLock lock(&mutex_);
  tokens.push_back(*request);
  response->set_token(absl::StrCat("join-token-", tokens.size()));
  response->mutable_expire_time()->set_seconds(1'767'229'200);
  response->set_command("mtp-agent join -");
  return Answer();
}

grpc::Status FakeController::GetFleetStatus(Context*, const v1::GetFleetStatusRequest*,
                                            v1::FleetStatus* status) {
  absl::MutexLock lock(&mutex_);
  *status = fleet;
  return Answer();
}

grpc::Status FakeController::AddOperator(Context*, const v1::AddOperatorRequest* request,
                                         v1::AddOperatorResponse* response) {
  absl::MutexLock lock(&mutex_);
  added_operators.push_back(*request);
  response->mutable_operator_()->set_name(request->operator_id());
  response->mutable_operator_()->set_role(request->role());
  response->set_certificate_pem("certificate\n");
  response->set_ca_pem("authority\n");
  return Answer();
}

grpc::Status FakeController::AnswerRollout(const std::string& call, v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  rollout_calls.push_back(call);
  *response = rollout;
  return Answer();
}

grpc::Status FakeController::CreateRollout(Context*, const v1::CreateRolloutRequest* request,
                                           v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  created_rollouts.push_back(*request);
  *response = request->validate_only() ? rollout_plan : rollout;
  return Answer();
}

grpc::Status FakeController::GetRollout(Context*, const v1::GetRolloutRequest* request,
                                        v1::Rollout* response) {
  return AnswerRollout("get " + request->name(), response);
}

grpc::Status FakeController::ListRollouts(Context*, const v1::ListRolloutsRequest*,
                                          v1::ListRolloutsResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Rollout& one : rollouts) *response->add_rollouts() = one;
  return Answer();
}

grpc::Status FakeController::PauseRollout(Context*, const v1::PauseRolloutRequest* request,
                                          v1::Rollout* response) {
  return AnswerRollout("pause " + request->name(), response);
}

grpc::Status FakeController::ResumeRollout(Context*, const v1::ResumeRolloutRequest* request,
                                           v1::Rollout* response) {
  return AnswerRollout("resume " + request->name(), response);
}

grpc::Status FakeController::AbortRollout(Context*, const v1::AbortRolloutRequest* request,
                                          v1::Rollout* response) {
  return AnswerRollout("abort " + request->name(), response);
}

grpc::Status FakeController::WatchRollout(Context* context, const v1::WatchRolloutRequest*,
                                          grpc::ServerWriter<v1::Rollout>* writer) {
  RolloutStream stream;
  {
    absl::MutexLock lock(&mutex_);
    if (rollout_streams.empty()) return {grpc::StatusCode::INTERNAL, "no stream is left"};
    stream = rollout_streams.front();
    rollout_streams.pop_front();
  }
  for (const v1::Rollout& one : stream.rollouts) writer->Write(one);
  while (stream.hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
  return stream.status;
}

grpc::Status FakeController::WatchOperation(Context* context,
                                            const v1::WatchOperationRequest* request,
                                            grpc::ServerWriter<v1::Operation>* writer) {
  OperationStream stream;
  {
    absl::MutexLock lock(&mutex_);
    ++calls;
    watched.push_back(request->name());
    if (streams.empty()) return {grpc::StatusCode::INTERNAL, "the test has no stream for this"};
    stream = streams.front();
    streams.pop_front();
  }
  for (const v1::Operation& operation : stream.operations) writer->Write(operation);
  while (stream.hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(2));
  return stream.status;
}

grpc::Status FakeController::GetTenant(Context*, const v1::GetTenantRequest* request,
                                       v1::Tenant* tenant) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Tenant& one : fleet.tenants()) {
    if (one.name() != request->name()) continue;
    *tenant = one;
    return Answer();
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such tenant"};
}

grpc::Status FakeController::ListTenants(Context*, const v1::ListTenantsRequest*,
                                         v1::ListTenantsResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->mutable_tenants() = fleet.tenants();
  return Answer();
}

grpc::Status FakeController::CreateBackup(Context*, const v1::CreateBackupRequest* request,
                                          v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  operation->set_name(absl::StrCat("operations/01ARZ3NDEKTSV4RRFFQ69G5FA", created_backups.size()));
  operation->set_target(request->tenant());
  created_backups.push_back(*request);
  return Answer();
}

grpc::Status FakeController::GetBackup(Context*, const v1::GetBackupRequest* request,
                                       v1::Backup* backup) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Backup& one : backups) {
    if (one.name() != request->name()) continue;
    *backup = one;
    return Answer();
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such backup"};
}

grpc::Status FakeController::ListBackups(Context*, const v1::ListBackupsRequest* request,
                                         v1::ListBackupsResponse* response) {
  absl::MutexLock lock(&mutex_);
  ++listed_backups;
  const size_t most = std::min(backups_page, static_cast<size_t>(request->page_size()));
  size_t at = request->page_token().empty() ? 0 : std::stoul(request->page_token());
  for (; at < backups.size(); ++at) {
    if (!request->tenant().empty() && "tenants/" + backups[at].tenant() != request->tenant())
      continue;
    if (static_cast<size_t>(response->backups_size()) == most) break;
    *response->add_backups() = backups[at];
  }
  if (at < backups.size()) response->set_next_page_token(absl::StrCat(at));
  return Answer();
}

grpc::Status FakeController::VerifyBackup(Context*, const v1::VerifyBackupRequest* request,
                                          v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    verified_backups.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::ExportBackup(Context*, const v1::ExportBackupRequest* request,
                                          grpc::ServerWriter<v1::ExportChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  exported_backups.push_back(*request);
  const grpc::Status answer = Answer();
  if (answer.error_code() == grpc::StatusCode::UNAVAILABLE) return answer;
  for (const v1::ExportChunk& chunk : exported) writer->Write(chunk);
  if (on_exported) on_exported();
  return answer;
}

grpc::Status FakeController::CheckRepository(Context*, const v1::CheckRepositoryRequest* request,
                                             v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    checked_repositories.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::DrillBackup(Context*, const v1::DrillBackupRequest* request,
                                         v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    drilled_backups.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::RestoreBackup(Context*, const v1::RestoreBackupRequest* request,
                                           v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    restored_backups.push_back(*request);
  }
  return Accept(operation);
}

// All but the newest of the tenant.
grpc::Status FakeController::GetBackupPolicy(Context*, const v1::GetBackupPolicyRequest* request,
                                             v1::BackupPolicy* response) {
  absl::MutexLock lock(&mutex_);
  const auto own = policies.find(request->tenant());
  *response = own == policies.end() ? policies[""] : own->second;
  response->set_own(own != policies.end() && !request->tenant().empty());
  return Answer();
}

grpc::Status FakeController::SetBackupPolicy(Context* context,
                                             const v1::SetBackupPolicyRequest* request,
                                             v1::BackupPolicy* response) {
  {
    absl::MutexLock lock(&mutex_);
    set_policies.push_back(*request);
    if (request->has_policy()) {
      policies[request->tenant()] = request->policy();
    } else {
      policies.erase(request->tenant());
    }
  }
  v1::GetBackupPolicyRequest get;
  get.set_tenant(request->tenant());
  return GetBackupPolicy(context, &get, response);
}

grpc::Status FakeController::PruneBackups(Context*, const v1::PruneBackupsRequest* request,
                                          v1::PruneBackupsResponse* response) {
  absl::MutexLock lock(&mutex_);
  const size_t begun = std::count_if(pruned_backups.begin(), pruned_backups.end(),
                                     [](const auto& one) { return !one.validate_only(); });
  pruned_backups.push_back(*request);
  bool newest = true;
  for (const v1::Backup& backup : backups) {
    if ("tenants/" + backup.tenant() != request->tenant()) continue;
    if (!newest) *response->add_backups() = backup;
    newest = false;
  }
  if (!request->validate_only() && response->backups_size() > 0) {
    *response->mutable_operation() = accepted;
    response->mutable_operation()->set_name(
        absl::StrCat("operations/01ARZ3NDEKTSV4RRFFQ69G5FA", begun));
  }
  return Answer();
}

grpc::Status FakeController::AddRepository(Context*, const v1::AddRepositoryRequest* request,
                                           v1::Repository* repository) {
  absl::MutexLock lock(&mutex_);
  added_repositories.push_back(*request);
  repository->set_name("repositories/" + request->repository_id());
  repository->set_url(request->url());
  repository->set_is_default(added_repositories.size() == 1);
  return Answer();
}

grpc::Status FakeController::ListRepositories(Context*, const v1::ListRepositoriesRequest*,
                                              v1::ListRepositoriesResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Repository& repository : repositories) *response->add_repositories() = repository;
  return Answer();
}

v1::Operation MakeOperation(const std::string& kind, const std::string& target,
                            v1::OperationState state) {
  v1::Operation operation;
  operation.set_name("operations/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  operation.set_kind(kind);
  operation.set_target(target);
  operation.set_state(state);
  return operation;
}

}  // namespace mtp::cli
