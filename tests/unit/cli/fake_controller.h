// A controller on a loopback port: answers as a test says, and remembers what it was asked.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/host.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "mtp/v1/rollout.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {

// What one stream of WatchOperation does: sends these, hangs until the caller goes, ends.
struct OperationStream {
  std::vector<v1::Operation> operations;
  grpc::Status status;
  bool hang = false;
};

// The same for WatchRollout.
struct RolloutStream {
  std::vector<v1::Rollout> rollouts;
  grpc::Status status;
  bool hang = false;
};

// Fields are set before the CLI runs and read after it: the end of a call is what orders them.
class FakeController final : public v1::TenantService::Service,
                             public v1::HostService::Service,
                             public v1::FleetService::Service,
                             public v1::OperationService::Service,
                             public v1::BackupService::Service,
                             public v1::RolloutService::Service {
 public:
  FakeController();
  ~FakeController() override;
  FakeController(const FakeController&) = delete;
  FakeController& operator=(const FakeController&) = delete;

  std::string address() const;

  // Calls are answered with these first, in order; then all succeed.
  std::deque<grpc::Status> refusals;
  // The operation of every change of a tenant. Those that back up have the tenant as their target
  // and names that count up, `operations/01ARZ3NDEKTSV4RRFFQ69G5FA0` and so on.
  v1::Operation accepted;
  v1::PlacementDecision placement;
  // One for each WatchOperation.
  std::deque<OperationStream> streams;
  // What every call about a rollout is answered with, but for the preview; and all there are.
  v1::Rollout rollout;
  v1::Rollout rollout_plan;
  std::vector<v1::Rollout> rollouts;
  // One for each WatchRollout.
  std::deque<RolloutStream> rollout_streams;
  // Its tenants are also what ListTenants and GetTenant know.
  v1::FleetStatus fleet;
  // The catalogue, newest first, and how much of it a page has at most.
  std::vector<v1::Backup> backups;
  size_t backups_page = 1000;
  std::vector<v1::Repository> repositories;
  std::vector<v1::LogChunk> log;
  std::vector<v1::ExecOutput> exec_output;
  // What an export sends. Called after it; null for nothing.
  std::vector<v1::ExportChunk> exported;
  std::function<void()> on_exported;
  std::string gateway_answer = "{}";

  int calls = 0;  // of any kind
  std::vector<v1::ProvisionTenantRequest> provisions;
  std::vector<v1::RemoveTenantRequest> removes;
  std::vector<v1::UpdateTenantRequest> updates;
  std::vector<v1::StreamTenantLogsRequest> logs;
  std::vector<v1::ExecTenantRequest> execs;
  std::vector<v1::CallTenantGatewayRequest> gateway_calls;
  std::vector<v1::CreateJoinTokenRequest> tokens;
  std::vector<v1::AddOperatorRequest> added_operators;
  std::vector<v1::CreateBackupRequest> created_backups;
  std::vector<v1::VerifyBackupRequest> verified_backups;
  std::vector<v1::DrillBackupRequest> drilled_backups;
  std::vector<v1::RestoreBackupRequest> restored_backups;
  std::vector<v1::PruneBackupsRequest> pruned_backups;  // those that only check, too
  std::vector<v1::ExportBackupRequest> exported_backups;
  std::vector<v1::CheckRepositoryRequest> checked_repositories;
  std::vector<v1::AddRepositoryRequest> added_repositories;
  // By tenant, `tenants/acme`, and empty for the fleet; a tenant without has the fleet's.
  std::map<std::string, v1::BackupPolicy> policies;
  std::vector<v1::SetBackupPolicyRequest> set_policies;
  v1::RecoveryKit recovery_kit;
  std::vector<v1::CreateRolloutRequest> created_rollouts;  // previews, too
  std::vector<std::string> rollout_calls;                  // `pause rollouts/…`
  std::vector<std::string> watched;                        // names of operations
  int listed_backups = 0;                                  // pages

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
                              v1::RecoveryKit* response) override {
    *response = recovery_kit;
    return grpc::Status::OK;
  }
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

// An operation without steps and times.
v1::Operation MakeOperation(const std::string& kind, const std::string& target,
                            v1::OperationState state);

}  // namespace mtp::cli
