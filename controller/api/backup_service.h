// Thin handlers of BackupService.
#pragma once

#include "controller/api/gate.h"
#include "controller/backups/backups.h"
#include "controller/backups/policies.h"
#include "controller/backups/repositories.h"
#include "controller/hosts/agent_sessions.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class BackupServiceImpl final : public v1::BackupService::CallbackService {
 public:
  BackupServiceImpl(const Gate* gate, Backups* backups, Repositories* repositories,
                    Policies* policies, const AgentSessions* sessions, std::string fleet)
      : gate_(gate),
        backups_(backups),
        repositories_(repositories),
        policies_(policies),
        sessions_(sessions),
        fleet_(std::move(fleet)) {}

  grpc::ServerUnaryReactor* CreateBackup(grpc::CallbackServerContext* context,
                                         const v1::CreateBackupRequest* request,
                                         v1::Operation* response) override;
  grpc::ServerUnaryReactor* GetBackup(grpc::CallbackServerContext* context,
                                      const v1::GetBackupRequest* request,
                                      v1::Backup* response) override;
  grpc::ServerUnaryReactor* ListBackups(grpc::CallbackServerContext* context,
                                        const v1::ListBackupsRequest* request,
                                        v1::ListBackupsResponse* response) override;
  grpc::ServerUnaryReactor* VerifyBackup(grpc::CallbackServerContext* context,
                                         const v1::VerifyBackupRequest* request,
                                         v1::Operation* response) override;
  grpc::ServerUnaryReactor* RestoreBackup(grpc::CallbackServerContext* context,
                                          const v1::RestoreBackupRequest* request,
                                          v1::Operation* response) override;
  grpc::ServerWriteReactor<v1::ExportChunk>* ExportBackup(
      grpc::CallbackServerContext* context, const v1::ExportBackupRequest* request) override;
  grpc::ServerUnaryReactor* CheckRepository(grpc::CallbackServerContext* context,
                                            const v1::CheckRepositoryRequest* request,
                                            v1::Operation* response) override;
  grpc::ServerUnaryReactor* DrillBackup(grpc::CallbackServerContext* context,
                                        const v1::DrillBackupRequest* request,
                                        v1::Operation* response) override;
  grpc::ServerUnaryReactor* PruneBackups(grpc::CallbackServerContext* context,
                                         const v1::PruneBackupsRequest* request,
                                         v1::PruneBackupsResponse* response) override;
  grpc::ServerUnaryReactor* AddRepository(grpc::CallbackServerContext* context,
                                          const v1::AddRepositoryRequest* request,
                                          v1::Repository* response) override;
  grpc::ServerUnaryReactor* ListRepositories(grpc::CallbackServerContext* context,
                                             const v1::ListRepositoriesRequest* request,
                                             v1::ListRepositoriesResponse* response) override;

  grpc::ServerUnaryReactor* GetBackupPolicy(grpc::CallbackServerContext* context,
                                            const v1::GetBackupPolicyRequest* request,
                                            v1::BackupPolicy* response) override;
  grpc::ServerUnaryReactor* SetBackupPolicy(grpc::CallbackServerContext* context,
                                            const v1::SetBackupPolicyRequest* request,
                                            v1::BackupPolicy* response) override;
  grpc::ServerUnaryReactor* GetRecoveryKit(grpc::CallbackServerContext* context,
                                           const v1::GetRecoveryKitRequest* request,
                                           v1::RecoveryKit* response) override;

 private:
  // A call that creates an operation and answers with it.
  template <typename Request>
  grpc::ServerUnaryReactor* Change(
      grpc::CallbackServerContext* context, const char* method, const Request* request,
      v1::Operation* response,
      absl::StatusOr<v1::Operation> (Backups::*change)(const std::string&, const Request&));

  const Gate* const gate_;
  Backups* const backups_;
  Repositories* const repositories_;
  Policies* const policies_;
  const AgentSessions* const sessions_;
  const std::string fleet_;
};

}  // namespace mtp
