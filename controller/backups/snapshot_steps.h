// Steps of the operations that back a tenant up into a repository. The fact kRepositoryFact says
// which; the backup's ULID is the operation's unless `id` names another one.
#pragma once

#include <string>

#include "controller/backups/kinds.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"

namespace mtp {

// Has the tenant's host write the backup, under the step's key. Leaves the facts that
// RecordBackup needs.
operations::StepResult TakeSnapshot(const BackupClients& clients, operations::StepContext& context,
                                    const std::string& id = "");
// Its compensation, for an operation that ends without its host when that stays away: ends the
// action, and takes what it has written all the same out of the repository. A host that comes back
// later ends it then; a snapshot that may be complete by then is left to the tenant's next pruning.
operations::StepResult CancelSnapshot(const BackupClients& clients,
                                      operations::StepContext& context);
// Its compensation, for an operation whose tenant waits to be started again: ends the action, and
// leaves whatever it has written to the tenant's next pruning.
operations::StepResult LeaveSnapshot(const BackupClients& clients, operations::StepContext& context,
                                     const std::string& id);
// Its compensation, for an operation that needs its host in any case: waits for the end of the
// action, and leaves the fact that ForgetLeftSnapshot goes by.
operations::StepResult EndSnapshot(const BackupClients& clients, operations::StepContext& context);
// Takes the snapshot that the operation leaves behind out of the repository, if any, and the lock
// of one that was killed. What a repository keeps that refuses is left to the tenant's next
// pruning.
operations::StepResult ForgetLeftSnapshot(const BackupClients& clients,
                                          operations::StepContext& context);

// Adds the backup to the catalogue, made for `reason` (Backup.reason), and says of its tenant and
// its repository that it succeeded, all in the transaction that ends the step. The result has
// `backup`. An operation that makes several backups records each in the step that takes it.
operations::StepResult RecordBackup(const BackupClients& clients, operations::StepContext& context,
                                    const std::string& reason, const std::string& id = "");

// Adds to `txn`, for Kind::on_end: compensations have nothing to undo of a tenant that was placed
// elsewhere, or left the fleet with its host, meanwhile, so what its backup in the step `step` may
// have left is left to its next pruning here.
void LeaveToPruning(const BackupClients& clients, const state::v1::OperationRecord& ended,
                    absl::string_view step, const std::string& id, kv::Txn& txn);

// Adds to `txn` why the tenant's newest backup failed, for `status`; nothing when that is what its
// record says already, or there is no such tenant.
void PutBackupFailure(const Tables& tables, absl::string_view tenant, absl::string_view why,
                      kv::Txn& txn);

// Adds to `txn`, for Kind::on_end, that the backup failed for the reason that the operation did:
// to the tenant's record and its repository's.
void NoteBackupFailure(const BackupClients& clients, const state::v1::OperationRecord& ended,
                       kv::Txn& txn);

}  // namespace mtp
