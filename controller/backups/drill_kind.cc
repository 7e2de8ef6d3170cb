// drill: drill → record. Where it takes place was decided when it was created; room for it is taken
// from then on and given back when it ends, however it ends.
#include "common/base/timestamps.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/decided_place.h"
#include "controller/backups/drill_room.h"
#include "controller/backups/kinds.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult Drill(const BackupClients& clients, StepContext& context) {
  auto found = FindAtPlace(clients, context);
  if (!found.ok()) return StepResult::Fail(found.status());
  v1::EnsureActionRequest request;
  request.set_tenant(found->backup.tenant());
  v1::DrillBackupAction& drill = *request.mutable_drill();
  *drill.mutable_backup() = std::move(found->reference);
  *drill.mutable_repository() = std::move(found->access);
  if (!drill.mutable_spec()->ParseFromString(context.record().input())) {
    return StepResult::Fail(absl::DataLossError("the operation's input cannot be read"));
  }
  return RunThere(context, *clients.tenants.agents, found->place, std::move(request),
                  OnFailure::kFail);
}

// The drill has also compared all of it with its manifest.
StepResult Record(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = FindBackup(tables, context.Fact(kBackupFact));
  if (!row.ok()) return StepResult::Fail(row.status());
  v1::Backup& backup = *row->value.mutable_backup();
  *backup.mutable_prove_time() = ToTimestamp(clients.clock->Now());
  *backup.mutable_verify_time() = backup.prove_time();
  context.txn().RequireRevision(tables.backups.Key(row->id), row->revision);
  tables.backups.Put(context.txn(), row->id, row->value);
  context.SetResult("backup", backup.name());

  auto tenant = tables.tenants.Get(backup.tenant());
  if (!tenant.ok()) return StepResult::Done();
  state::v1::TenantRecord& record = tenant->value;
  if (record.has_last_proven_backup_time() &&
      FromTimestamp(record.last_proven_backup_time()) >= FromTimestamp(backup.start_time())) {
    return StepResult::Done();
  }
  *record.mutable_last_proven_backup_time() = backup.start_time();
  context.txn().RequireRevision(tables.tenants.Key(tenant->id), tenant->revision);
  tables.tenants.Put(context.txn(), tenant->id, record);
  return StepResult::Done();
}

void Release(const BackupClients& clients, const state::v1::OperationRecord& ended, kv::Txn& txn) {
  const std::string host = FactOf(ended, kHostFact);
  const std::string backup = FactOf(ended, kBackupFact);
  if (host.empty() || backup.empty()) return;
  ReleaseDrillRoom(Tables(clients.tenants.store), host, backup, txn);
}

}  // namespace

operations::Kind DrillKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "drill";
  kind.steps.push_back(
      {"drill", [clients](StepContext& context) { return Drill(clients, context); },
       [clients](StepContext& context) { return CancelAtPlace(clients, context); }, true});
  kind.steps.push_back({"record",
                        [clients](StepContext& context) { return Record(clients, context); },
                        nullptr, false});
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    Release(clients, ended, txn);
  };
  return kind;
}

}  // namespace mtp
