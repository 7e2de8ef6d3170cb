// backup: snapshot → record. The tenant works on meanwhile.
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/snapshot_steps.h"

namespace mtp {
namespace {

using operations::StepContext;

constexpr char kSnapshotStep[] = "snapshot";

}  // namespace

operations::Kind BackupKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "backup";
  kind.steps.push_back(
      {kSnapshotStep, [clients](StepContext& context) { return TakeSnapshot(clients, context); },
       [clients](StepContext& context) { return CancelSnapshot(clients, context); }, true});
  kind.steps.push_back({"record",
                        [clients](StepContext& context) {
                          const std::string reason = context.Fact(kReasonFact);
                          return RecordBackup(clients, context, reason.empty() ? "manual" : reason);
                        },
                        nullptr, false});
  // A backup that was cancelled on request has not failed.
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    if (ended.operation().state() == v1::OPERATION_STATE_FAILED) {
      NoteBackupFailure(clients, ended, txn);
    }
    LeaveToPruning(clients, ended, kSnapshotStep, OperationIdOf(ended), txn);
  };
  return kind;
}

}  // namespace mtp
