// What snapshot, verify and restore share: reaching the repository, and a backup on this host's
// disk that has been held to its manifest.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>

#include "agent/backup/repository.h"
#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/names.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

RepositoryAccess ToAccess(const v1::RepositoryAccess& access);
BackupIdentity IdentityOf(const v1::BackupReference& backup);

// The repository of the action with that key.
absl::StatusOr<std::unique_ptr<Repository>> OpenRepository(const TenantTools& tools,
                                                           const std::string& key);

// Unpacks the backup into `RestoreFolders::Make(name)`, holds all of it to its manifest, and the
// manifest to `backup.manifest_sha256`; then checks the databases. Adds `snapshot`, `files`,
// `bytes`, `databases` and `damaged_databases` to the action's result. DATA_LOSS when anything
// differs. After an error nothing is left.
absl::Status FetchBackup(const TenantTools& tools, const std::string& key, const TenantName& name,
                         const v1::BackupReference& backup, PhaseContext& context);

// How long a repository that cannot be reached is asked again before the action fails.
class RepositoryPatience {
 public:
  explicit RepositoryPatience(const Clock* clock) : clock_(clock) {}
  // What becomes of a phase whose use of the repository ended so.
  PhaseResult Judge(const absl::Status& status, PhaseContext& context);

 private:
  const Clock* const clock_;
  std::optional<absl::Duration> since_;
};

// Adds `databases` and `damaged_databases`, a JSON list of paths.
void NoteDatabases(const DatabaseReport& report, PhaseContext& context);

// SHA-256 of a file, hexadecimal.
absl::StatusOr<std::string> HashFile(const std::string& path);

// A place among those that copy or read whole tenants. Waits for one by being called again.
PhaseResult WaitForBackupSlot(StartTicket& ticket, PhaseContext& context);

}  // namespace mtp
