// A host with repositories, and requests for snapshots, verifications, restores and removals.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {

inline constexpr char kRepositoryPassword[] = "planted-repository-password";

class BackupFixture : public ActionsFixture {
 protected:
  BackupFixture();
  ~BackupFixture() override;

  std::string DataPath(const std::string& rest = "");
  void Write(const std::string& path, const std::string& text);
  std::string Read(const std::string& path);
  std::set<std::string> Names(const std::string& folder);
  bool IsPaused(const std::string& name);
  int Pauses(const std::string& name);
  // Whether a planted secret is anywhere in the agent's store as plain bytes.
  bool StoreHolds(const std::string& secret);

  static void SetRepository(v1::RepositoryAccess* access, const std::string& tenant);
  static v1::EnsureActionRequest SnapshotRequest(const std::string& key, const std::string& tenant,
                                                 const std::string& backup);
  // Backs up and returns what names the backup.
  v1::BackupReference Snapshot(const std::string& tenant, const std::string& backup);
  static v1::EnsureActionRequest RestoreRequest(const std::string& key, const std::string& tenant,
                                                const v1::BackupReference& backup,
                                                int64_t epoch = 1);
  static v1::EnsureActionRequest VerifyRequest(const std::string& key, const std::string& tenant,
                                               const v1::BackupReference& backup);
  static v1::EnsureActionRequest ForgetRequest(const std::string& key, const std::string& tenant,
                                               const std::vector<std::string>& backups);
};

}  // namespace mtp
