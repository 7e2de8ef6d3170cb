#include "tests/unit/cli/fake_controller.h"

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/host.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "mtp/v1/rollout.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

class Services final : public FakeController,
                       public v1::TenantService::Service,
                       public v1::HostService::Service,
                       public v1::FleetService::Service,
                       public v1::OperationService::Service,
                       public v1::BackupService::Service,
                       public v1::RolloutService::Service {
 public:
  Services();
  ~Services() override;

  std::string address() const override;

 private:
  using Context = grpc::ServerContext;
  grpc::Status Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status Accept(v1::Operation* operation);
  grpc::Status AnswerRollout(const std::string& call, v1::Rollout* response);

  grpc::Status ProvisionTenant(Context*, const v1::ProvisionTenantRequest*,
                               v1::ProvisionTenantResponse*) override;
  grpc::Status RemoveTenant(Context*, const v1::RemoveTenantRequest*, v1::Operation*) override;
  grpc::Status UpdateTenant(Context*, const v1::UpdateTenantRequest*, v1::Operation*) override;
  grpc::Status StartTenant(Context*, const v1::StartTenantRequest*, v1::Operation*) override;
  grpc::Status StopTenant(Context*, const v1::StopTenantRequest*, v1::Operation*) override;
  grpc::Status RestartTenant(Context*, const v1::RestartTenantRequest*, v1::Operation*) override;
  grpc::Status StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest*,
                                grpc::ServerWriter<v1::LogChunk>*) override;
  grpc::Status ExecTenant(Context*, const v1::ExecTenantRequest*,
                          grpc::ServerWriter<v1::ExecOutput>*) override;
  grpc::Status CallTenantGateway(Context*, const v1::CallTenantGatewayRequest*,
                                 v1::CallTenantGatewayResponse*) override;
  grpc::Status CreateJoinToken(Context*, const v1::CreateJoinTokenRequest*,
                               v1::CreateJoinTokenResponse*) override;
  grpc::Status GetFleetStatus(Context*, const v1::GetFleetStatusRequest*,
                              v1::FleetStatus*) override;
  grpc::Status GetTenant(Context*, const v1::GetTenantRequest*, v1::Tenant*) override;
  grpc::Status ListTenants(Context*, const v1::ListTenantsRequest*,
                           v1::ListTenantsResponse*) override;
  grpc::Status CreateBackup(Context*, const v1::CreateBackupRequest*, v1::Operation*) override;
  grpc::Status GetBackup(Context*, const v1::GetBackupRequest*, v1::Backup*) override;
  grpc::Status ListBackups(Context*, const v1::ListBackupsRequest*,
                           v1::ListBackupsResponse*) override;
  grpc::Status VerifyBackup(Context*, const v1::VerifyBackupRequest*, v1::Operation*) override;
  grpc::Status ExportBackup(Context*, const v1::ExportBackupRequest*,
                            grpc::ServerWriter<v1::ExportChunk>*) override;
  grpc::Status CheckRepository(Context*, const v1::CheckRepositoryRequest*,
                               v1::Operation*) override;
  grpc::Status DrillBackup(Context*, const v1::DrillBackupRequest*, v1::Operation*) override;
  grpc::Status RestoreBackup(Context*, const v1::RestoreBackupRequest*, v1::Operation*) override;
  grpc::Status PruneBackups(Context*, const v1::PruneBackupsRequest*,
                            v1::PruneBackupsResponse*) override;
  grpc::Status GetBackupPolicy(Context*, const v1::GetBackupPolicyRequest*,
                               v1::BackupPolicy*) override;
  grpc::Status SetBackupPolicy(Context*, const v1::SetBackupPolicyRequest*,
                               v1::BackupPolicy*) override;
  grpc::Status GetRecoveryKit(Context*, const v1::GetRecoveryKitRequest*,
                              v1::RecoveryKit*) override;
  grpc::Status AddRepository(Context*, const v1::AddRepositoryRequest*, v1::Repository*) override;
  grpc::Status ListRepositories(Context*, const v1::ListRepositoriesRequest*,
                                v1::ListRepositoriesResponse*) override;
  grpc::Status AddOperator(Context*, const v1::AddOperatorRequest*,
                           v1::AddOperatorResponse*) override;
  grpc::Status CreateRollout(Context*, const v1::CreateRolloutRequest*, v1::Rollout*) override;
  grpc::Status GetRollout(Context*, const v1::GetRolloutRequest*, v1::Rollout*) override;
  grpc::Status ListRollouts(Context*, const v1::ListRolloutsRequest*,
                            v1::ListRolloutsResponse*) override;
  grpc::Status PauseRollout(Context*, const v1::PauseRolloutRequest*, v1::Rollout*) override;
  grpc::Status ResumeRollout(Context*, const v1::ResumeRolloutRequest*, v1::Rollout*) override;
  grpc::Status AbortRollout(Context*, const v1::AbortRolloutRequest*, v1::Rollout*) override;
  grpc::Status WatchRollout(Context*, const v1::WatchRolloutRequest*,
                            grpc::ServerWriter<v1::Rollout>*) override;
  grpc::Status WatchOperation(Context*, const v1::WatchOperationRequest*,
                              grpc::ServerWriter<v1::Operation>*) override;

  absl::Mutex mutex_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

Services::Services() {
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

Services::~Services() {
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

std::string Services::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status Services::Answer() {
  ++calls;
  if (refusals.empty()) return grpc::Status::OK;
  const grpc::Status refusal = refusals.front();
  refusals.pop_front();
  return refusal;
}

grpc::Status Services::Accept(v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  return Answer();
}

grpc::Status Services::ProvisionTenant(Context*, const v1::ProvisionTenantRequest* request,
                                       v1::ProvisionTenantResponse* response) {
  absl::MutexLock lock(&mutex_);
  provisions.push_back(*request);
  *response->mutable_placement() = placement;
  if (!request->validate_only()) *response->mutable_operation() = accepted;
  return Answer();
}

grpc::Status Services::RemoveTenant(Context*, const v1::RemoveTenantRequest* request,
                                    v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    removes.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::UpdateTenant(Context*, const v1::UpdateTenantRequest* request,
                                    v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    updates.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::StartTenant(Context*, const v1::StartTenantRequest*,
                                   v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::StopTenant(Context*, const v1::StopTenantRequest*,
                                  v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::RestartTenant(Context*, const v1::RestartTenantRequest*,
                                     v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest* request,
                                        grpc::ServerWriter<v1::LogChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  logs.push_back(*request);
  for (const v1::LogChunk& chunk : log) writer->Write(chunk);
  return Answer();
}

grpc::Status Services::ExecTenant(Context*, const v1::ExecTenantRequest* request,
                                  grpc::ServerWriter<v1::ExecOutput>* writer) {
  absl::MutexLock lock(&mutex_);
  execs.push_back(*request);
  for (const v1::ExecOutput& output : exec_output) writer->Write(output);
  return Answer();
}

grpc::Status Services::CallTenantGateway(Context*, const v1::CallTenantGatewayRequest* request,
                                         v1::CallTenantGatewayResponse* response) {
  absl::MutexLock lock(&mutex_);
  gateway_calls.push_back(*request);
  response->set_payload_json(gateway_answer);
  return Answer();
}

grpc::Status Services::CreateJoinToken(Context*, const v1::CreateJoinTokenRequest* request,
                                       v1::CreateJoinTokenResponse* response) {
  absl::MutexLock lock(&mutex_);
  tokens.push_back(*request);
  response->set_token(absl::StrCat("join-token-", tokens.size()));
  response->mutable_expire_time()->set_seconds(1'767'229'200);
  response->set_command("mtp-agent join -");
  return Answer();
}

grpc::Status Services::GetFleetStatus(Context*, const v1::GetFleetStatusRequest*,
                                      v1::FleetStatus* status) {
  absl::MutexLock lock(&mutex_);
  *status = fleet;
  return Answer();
}

grpc::Status Services::AddOperator(Context*, const v1::AddOperatorRequest* request,
                                   v1::AddOperatorResponse* response) {
  absl::MutexLock lock(&mutex_);
  added_operators.push_back(*request);
  response->mutable_operator_()->set_name(request->operator_id());
  response->mutable_operator_()->set_role(request->role());
  response->set_certificate_pem("certificate\n");
  response->set_ca_pem("authority\n");
  return Answer();
}

grpc::Status Services::AnswerRollout(const std::string& call, v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  rollout_calls.push_back(call);
  *response = rollout;
  return Answer();
}

grpc::Status Services::CreateRollout(Context*, const v1::CreateRolloutRequest* request,
                                     v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  created_rollouts.push_back(*request);
  *response = request->validate_only() ? rollout_plan : rollout;
  return Answer();
}

grpc::Status Services::GetRollout(Context*, const v1::GetRolloutRequest* request,
                                  v1::Rollout* response) {
  return AnswerRollout("get " + request->name(), response);
}

grpc::Status Services::ListRollouts(Context*, const v1::ListRolloutsRequest*,
                                    v1::ListRolloutsResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Rollout& one : rollouts) *response->add_rollouts() = one;
  return Answer();
}

grpc::Status Services::PauseRollout(Context*, const v1::PauseRolloutRequest* request,
                                    v1::Rollout* response) {
  return AnswerRollout("pause " + request->name(), response);
}

grpc::Status Services::ResumeRollout(Context*, const v1::ResumeRolloutRequest* request,
                                     v1::Rollout* response) {
  return AnswerRollout("resume " + request->name(), response);
}

grpc::Status Services::AbortRollout(Context*, const v1::AbortRolloutRequest* request,
                                    v1::Rollout* response) {
  return AnswerRollout("abort " + request->name(), response);
}

grpc::Status Services::WatchRollout(Context* context, const v1::WatchRolloutRequest*,
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

grpc::Status Services::WatchOperation(Context* context, const v1::WatchOperationRequest* request,
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

grpc::Status Services::GetTenant(Context*, const v1::GetTenantRequest* request,
                                 v1::Tenant* tenant) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Tenant& one : fleet.tenants()) {
    if (one.name() != request->name()) continue;
    *tenant = one;
    return Answer();
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such tenant"};
}

grpc::Status Services::ListTenants(Context*, const v1::ListTenantsRequest*,
                                   v1::ListTenantsResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->mutable_tenants() = fleet.tenants();
  return Answer();
}

grpc::Status Services::CreateBackup(Context*, const v1::CreateBackupRequest* request,
                                    v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  operation->set_name(absl::StrCat("operations/01ARZ3NDEKTSV4RRFFQ69G5FA", created_backups.size()));
  operation->set_target(request->tenant());
  created_backups.push_back(*request);
  return Answer();
}

grpc::Status Services::GetBackup(Context*, const v1::GetBackupRequest* request,
                                 v1::Backup* backup) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Backup& one : backups) {
    if (one.name() != request->name()) continue;
    *backup = one;
    return Answer();
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such backup"};
}

grpc::Status Services::ListBackups(Context*, const v1::ListBackupsRequest* request,
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

grpc::Status Services::VerifyBackup(Context*, const v1::VerifyBackupRequest* request,
                                    v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    verified_backups.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::ExportBackup(Context*, const v1::ExportBackupRequest* request,
                                    grpc::ServerWriter<v1::ExportChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  exported_backups.push_back(*request);
  const grpc::Status answer = Answer();
  if (answer.error_code() == grpc::StatusCode::UNAVAILABLE) return answer;
  for (const v1::ExportChunk& chunk : exported) writer->Write(chunk);
  if (on_exported) on_exported();
  return answer;
}

grpc::Status Services::CheckRepository(Context*, const v1::CheckRepositoryRequest* request,
                                       v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    checked_repositories.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::DrillBackup(Context*, const v1::DrillBackupRequest* request,
                                   v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    drilled_backups.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::RestoreBackup(Context*, const v1::RestoreBackupRequest* request,
                                     v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    restored_backups.push_back(*request);
  }
  return Accept(operation);
}

// All but the newest of the tenant.
grpc::Status Services::GetBackupPolicy(Context*, const v1::GetBackupPolicyRequest* request,
                                       v1::BackupPolicy* response) {
  absl::MutexLock lock(&mutex_);
  const auto own = policies.find(request->tenant());
  *response = own == policies.end() ? policies[""] : own->second;
  response->set_own(own != policies.end() && !request->tenant().empty());
  return Answer();
}

grpc::Status Services::SetBackupPolicy(Context* context, const v1::SetBackupPolicyRequest* request,
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

grpc::Status Services::PruneBackups(Context*, const v1::PruneBackupsRequest* request,
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

grpc::Status Services::AddRepository(Context*, const v1::AddRepositoryRequest* request,
                                     v1::Repository* repository) {
  absl::MutexLock lock(&mutex_);
  added_repositories.push_back(*request);
  repository->set_name("repositories/" + request->repository_id());
  repository->set_url(request->url());
  repository->set_is_default(added_repositories.size() == 1);
  return Answer();
}

grpc::Status Services::ListRepositories(Context*, const v1::ListRepositoriesRequest*,
                                        v1::ListRepositoriesResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Repository& repository : repositories) *response->add_repositories() = repository;
  return Answer();
}

grpc::Status Services::GetRecoveryKit(Context*, const v1::GetRecoveryKitRequest*,
                                      v1::RecoveryKit* response) {
  *response = recovery_kit;
  return grpc::Status::OK;
}

}  // namespace

FakeController::FakeController() = default;

FakeController::~FakeController() = default;

std::unique_ptr<FakeController> FakeController::Start() { return std::make_unique<Services>(); }

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
