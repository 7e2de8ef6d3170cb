// The services behind a FakeController.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/host.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "mtp/v1/rollout.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"
#include "tests/unit/cli/fake_controller.h"

namespace mtp::cli {

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
  grpc::Status FailOverTenant(Context*, const v1::FailOverTenantRequest* request,
                              v1::Operation* operation) override;
  grpc::Status RestartTenant(Context*, const v1::RestartTenantRequest*, v1::Operation*) override;
  grpc::Status StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest*,
                                grpc::ServerWriter<v1::LogChunk>*) override;
  grpc::Status ExecTenant(Context*, const v1::ExecTenantRequest*,
                          grpc::ServerWriter<v1::ExecOutput>*) override;
  grpc::Status CallTenantGateway(Context*, const v1::CallTenantGatewayRequest*,
                                 v1::CallTenantGatewayResponse*) override;
  grpc::Status RemoveHost(Context*, const v1::RemoveHostRequest*, v1::RemoveHostResponse*) override;
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
  grpc::Status RenewCertificate(Context*, const v1::RenewCertificateRequest*,
                                v1::RenewCertificateResponse*) override;
  grpc::Status GetAuthority(Context*, const v1::GetAuthorityRequest*, v1::Authority*) override;
  grpc::Status RotateAuthority(Context*, const v1::RotateAuthorityRequest*,
                               v1::Operation*) override;
  grpc::Status GetOperation(Context*, const v1::GetOperationRequest*, v1::Operation*) override;
  grpc::Status CancelOperation(Context*, const v1::CancelOperationRequest*,
                               v1::Operation*) override;
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

}  // namespace mtp::cli
