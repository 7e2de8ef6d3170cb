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

// Unpacks the backup into `RestoreFolders::Make(name)`, holds all of it to its manifest, and the
// manifest to `backup.manifest_sha256`; then checks the databases. Adds `snapshot`, `files`,
// `bytes`, `databases` and `damaged_databases` to the action's result. DATA_LOSS when anything
// differs. After an error nothing is left.
absl::Status FetchBackup(const TenantTools& tools, Repository& repository, const TenantName& name,
                         const v1::BackupReference& backup, PhaseContext& context);

// Adds `databases` and `damaged_databases`, a JSON list of paths.
void NoteDatabases(const DatabaseReport& report, PhaseContext& context);

// SHA-256 of a file, hexadecimal.
absl::StatusOr<std::string> HashFile(const std::string& path);

}  // namespace mtp
