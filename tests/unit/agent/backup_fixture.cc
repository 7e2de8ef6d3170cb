#include "tests/unit/agent/backup_fixture.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>

#include <filesystem>
#include <fstream>

#include "common/base/atomic_file.h"

namespace mtp {

BackupFixture::BackupFixture() = default;

BackupFixture::~BackupFixture() = default;

std::string BackupFixture::DataPath(const std::string& rest) {
  return absl::StrCat(agent_->project.DataPath(), "/", rest);
}

void BackupFixture::Write(const std::string& path, const std::string& text) {
  std::ofstream(DataPath(path)) << text;
}

std::string BackupFixture::Read(const std::string& path) {
  auto text = ReadFile(DataPath(path), 1 << 20);
  return text.ok() ? *text : std::string(text.status().message());
}

std::set<std::string> BackupFixture::Names(const std::string& folder) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(DataPath(folder), ignored)) {
    names.insert(entry.path().filename());
  }
  return names;
}

bool BackupFixture::IsPaused(const std::string& name) {
  absl::MutexLock lock(&machine_.engine.mutex);
  return machine_.engine.containers[name].paused;
}

int BackupFixture::Pauses(const std::string& name) {
  absl::MutexLock lock(&machine_.engine.mutex);
  return machine_.engine.containers[name].pauses;
}

bool BackupFixture::StoreHolds(const std::string& secret) {
  for (const kv::Entry& entry : machine_.disk->List("/")) {
    if (absl::StrContains(entry.value, secret)) return true;
  }
  return false;
}

void BackupFixture::SetRepository(v1::RepositoryAccess* access, const std::string& tenant) {
  access->set_url("/repository/" + tenant);
  access->set_password(kRepositoryPassword);
}

v1::EnsureActionRequest BackupFixture::SnapshotRequest(const std::string& key,
                                                       const std::string& tenant,
                                                       const std::string& backup) {
  auto request = ActionRequest(key, tenant, 1);
  request.mutable_snapshot()->set_backup_id(backup);
  request.mutable_snapshot()->set_fleet("fleet");
  SetRepository(request.mutable_snapshot()->mutable_repository(), tenant);
  return request;
}

v1::BackupReference BackupFixture::Snapshot(const std::string& tenant, const std::string& backup) {
  const v1::Action action =
      agent_->Finish(SnapshotRequest("snapshot-" + backup + "/s", tenant, backup));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  v1::BackupReference reference;
  reference.set_backup_id(backup);
  reference.set_fleet("fleet");
  reference.set_tenant(tenant);
  const auto hash = action.result().find("manifest_sha256");
  if (hash != action.result().end()) reference.set_manifest_sha256(hash->second);
  return reference;
}

v1::EnsureActionRequest BackupFixture::RestoreRequest(const std::string& key,
                                                      const std::string& tenant,
                                                      const v1::BackupReference& backup,
                                                      int64_t epoch) {
  auto request = ActionRequest(key, tenant, epoch);
  *request.mutable_restore()->mutable_backup() = backup;
  SetRepository(request.mutable_restore()->mutable_repository(), backup.tenant());
  return request;
}

v1::EnsureActionRequest BackupFixture::VerifyRequest(const std::string& key,
                                                     const std::string& tenant,
                                                     const v1::BackupReference& backup) {
  auto request = ActionRequest(key, tenant, 1);
  *request.mutable_verify()->mutable_backup() = backup;
  SetRepository(request.mutable_verify()->mutable_repository(), backup.tenant());
  return request;
}

v1::EnsureActionRequest BackupFixture::ForgetRequest(const std::string& key,
                                                     const std::string& tenant,
                                                     const std::vector<std::string>& backups) {
  auto request = ActionRequest(key, tenant, 1);
  request.mutable_forget()->set_fleet("fleet");
  for (const std::string& backup : backups) request.mutable_forget()->add_backup_ids(backup);
  SetRepository(request.mutable_forget()->mutable_repository(), tenant);
  return request;
}

}  // namespace mtp
