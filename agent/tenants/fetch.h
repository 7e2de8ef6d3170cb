// What verify and restore share, and in part snapshot: a backup on this host's disk that has been
// held to its manifest.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/names.h"
#include "common/restic/repository.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

BackupIdentity IdentityOf(const v1::BackupReference& backup);

// INVALID_ARGUMENT unless both are well-formed.
absl::Status CheckReference(const v1::BackupReference& backup,
                            const v1::RepositoryAccess& repository);

// Unpacks the backup into `RestoreFolders::Make(folder)`, holds all of it to its manifest, and the
// manifest to `backup.manifest_sha256`; then checks the databases. Adds `snapshot`, `files`,
// `bytes`, `databases` and `damaged_databases` to the action's result. DATA_LOSS when anything
// differs. After an error nothing is left.
absl::Status FetchBackup(const TenantTools& tools, Repository& repository,
                         const std::string& folder, const v1::BackupReference& backup,
                         PhaseContext& context);
// The same into the tenant's own.
inline absl::Status FetchBackup(const TenantTools& tools, Repository& repository,
                                const TenantName& name, const v1::BackupReference& backup,
                                PhaseContext& context) {
  return FetchBackup(tools, repository, name.value(), backup, context);
}

// Adds `databases` and `damaged_databases`, a JSON list of paths.
void NoteDatabases(const DatabaseReport& report, PhaseContext& context);

// SHA-256 of a file, hexadecimal.
absl::StatusOr<std::string> HashFile(const std::string& path);

}  // namespace mtp
