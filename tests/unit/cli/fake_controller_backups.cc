// What a FakeController says of backups and repositories.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "tests/unit/cli/fake_controller_services.h"

namespace mtp::cli {

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

// All but the newest of the tenant.
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

}  // namespace mtp::cli
