// A controller on a loopback port: answers as a test says, and remembers what it was asked.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/host.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {

// What one stream of WatchOperation does: sends these, hangs until the caller goes, ends.
struct OperationStream {
  std::vector<v1::Operation> operations;
  grpc::Status status;
  bool hang = false;
};

// Fields are set before the CLI runs and read after it: the end of a call is what orders them.
class FakeController final : public v1::TenantService::Service,
                             public v1::HostService::Service,
                             public v1::FleetService::Service,
                             public v1::OperationService::Service,
                             public v1::BackupService::Service {
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
  // Its tenants are also what ListTenants and GetTenant know.
  v1::FleetStatus fleet;
  // The catalogue, newest first, and how much of it a page has at most.
  std::vector<v1::Backup> backups;
  size_t backups_page = 1000;
  std::vector<v1::Repository> repositories;
  std::vector<v1::LogChunk> log;
  std::vector<v1::ExecOutput> exec_output;
  std::string gateway_answer = "{}";

  int calls = 0;  // of any kind
  std::vector<v1::ProvisionTenantRequest> provisions;
  std::vector<v1::RemoveTenantRequest> removes;
  std::vector<v1::StreamTenantLogsRequest> logs;
  std::vector<v1::ExecTenantRequest> execs;
  std::vector<v1::CallTenantGatewayRequest> gateway_calls;
  std::vector<v1::CreateJoinTokenRequest> tokens;
  std::vector<v1::AddOperatorRequest> added_operators;
  std::vector<v1::CreateBackupRequest> created_backups;
  std::vector<v1::VerifyBackupRequest> verified_backups;
  std::vector<v1::RestoreBackupRequest> restored_backups;
  std::vector<v1::PruneBackupsRequest> pruned_backups;  // those that only check, too
  std::vector<v1::AddRepositoryRequest> added_repositories;
  v1::RecoveryKit recovery_kit;
  std::vector<std::string> watched;  // names of operations
  int listed_backups = 0;            // pages

 private:
  using Context = grpc::ServerContext;
  grpc::Status Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status Accept(v1::Operation* operation);

  grpc::Status ProvisionTenant(Context*, const v1::ProvisionTenantRequest*,
                               v1::ProvisionTenantResponse*) override;
  grpc::Status RemoveTenant(Context*, const v1::RemoveTenantRequest*, v1::Operation*) override;
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
  grpc::Status RestoreBackup(Context*, const v1::RestoreBackupRequest*, v1::Operation*) override;
  grpc::Status PruneBackups(Context*, const v1::PruneBackupsRequest*,
                            v1::PruneBackupsResponse*) override;
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
