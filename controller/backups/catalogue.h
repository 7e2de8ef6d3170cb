// Entries of the catalogue of backups.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/base/secret_box.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// ULID of the operation that the step belongs to.
std::string OperationIdOf(const operations::StepContext& context);
std::string OperationIdOf(const state::v1::OperationRecord& record);

// Backup.reason of what a backup that was called off may have left.
inline constexpr char kCalledOffReason[] = "called-off";

// ULID in `backups/<ULID>`; INVALID_ARGUMENT for anything else.
absl::StatusOr<std::string> ParseBackup(absl::string_view resource);
// NOT_FOUND with a sentence.
absl::StatusOr<kv::Row<state::v1::BackupRecord>> FindBackup(const Tables& tables,
                                                            const std::string& id);

// The backup `id` that the action `snapshot` has made, from what it said in this very step, or else
// from the facts that it left: all but tenant, host, repository, spec and reason. INTERNAL when
// they do not tell which snapshot it is.
absl::StatusOr<v1::Backup> BackupFromFacts(const operations::StepContext& context,
                                           const std::string& id);

// The tenant's secrets as they are now, sealed for the record `backup_key`.
absl::StatusOr<std::string> ResealSecrets(const Tables& tables, const SecretBox& box,
                                          const std::string& tenant, const std::string& backup_key);
// The secrets that a backup holds. DATA_LOSS when they cannot be read.
absl::StatusOr<v1::TenantSecrets> SecretsOf(const Tables& tables, const SecretBox& box,
                                            const kv::Row<state::v1::BackupRecord>& row);

// The backup as agents are told of it.
v1::BackupReference ReferenceTo(const v1::Backup& backup, const std::string& fleet);

}  // namespace mtp
