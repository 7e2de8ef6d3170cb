// A host with repositories, and requests for snapshots, verifications, restores and removals.
#pragma once

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {

inline constexpr char kRepositoryPassword[] = "planted-repository-password";

class BackupFixture : public ActionsFixture {
 protected:
  std::string DataPath(const std::string& rest = "") {
    return absl::StrCat(agent_->project.DataPath(), "/", rest);
  }
  void Write(const std::string& path, const std::string& text) {
    std::ofstream(DataPath(path)) << text;
  }
  std::string Read(const std::string& path) {
    auto text = ReadFile(DataPath(path), 1 << 20);
    return text.ok() ? *text : std::string(text.status().message());
  }
  std::set<std::string> Names(const std::string& folder) {
    std::set<std::string> names;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(DataPath(folder), ignored)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  bool IsPaused(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers[name].paused;
  }
  int Pauses(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers[name].pauses;
  }
  // Whether a planted secret is anywhere in the agent's store as plain bytes.
  bool StoreHolds(const std::string& secret) {
    for (const kv::Entry& entry : machine_.disk->List("/")) {
      if (absl::StrContains(entry.value, secret)) return true;
    }
    return false;
  }

  static void SetRepository(v1::RepositoryAccess* access, const std::string& tenant) {
    access->set_url("/repository/" + tenant);
    access->set_password(kRepositoryPassword);
  }
  static v1::EnsureActionRequest SnapshotRequest(const std::string& key, const std::string& tenant,
                                                 const std::string& backup) {
    auto request = ActionRequest(key, tenant, 1);
    request.mutable_snapshot()->set_backup_id(backup);
    request.mutable_snapshot()->set_fleet("fleet");
    SetRepository(request.mutable_snapshot()->mutable_repository(), tenant);
    return request;
  }
  // Backs up and returns what names the backup.
  v1::BackupReference Snapshot(const std::string& tenant, const std::string& backup) {
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
  static v1::EnsureActionRequest RestoreRequest(const std::string& key, const std::string& tenant,
                                                const v1::BackupReference& backup,
                                                int64_t epoch = 1) {
    auto request = ActionRequest(key, tenant, epoch);
    *request.mutable_restore()->mutable_backup() = backup;
    SetRepository(request.mutable_restore()->mutable_repository(), backup.tenant());
    return request;
  }
  static v1::EnsureActionRequest VerifyRequest(const std::string& key, const std::string& tenant,
                                               const v1::BackupReference& backup) {
    auto request = ActionRequest(key, tenant, 1);
    *request.mutable_verify()->mutable_backup() = backup;
    SetRepository(request.mutable_verify()->mutable_repository(), backup.tenant());
    return request;
  }
  static v1::EnsureActionRequest ForgetRequest(const std::string& key, const std::string& tenant,
                                               const std::vector<std::string>& backups) {
    auto request = ActionRequest(key, tenant, 1);
    request.mutable_forget()->set_fleet("fleet");
    for (const std::string& backup : backups) request.mutable_forget()->add_backup_ids(backup);
    SetRepository(request.mutable_forget()->mutable_repository(), tenant);
    return request;
  }
};

}  // namespace mtp
