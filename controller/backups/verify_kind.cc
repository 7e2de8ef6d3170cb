// verify-backup: verify → record.
#include "common/base/timestamps.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/decided_place.h"
#include "controller/backups/kinds.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult Verify(const BackupClients& clients, StepContext& context) {
  auto found = FindAtPlace(clients, context);
  if (!found.ok()) return StepResult::Fail(found.status());
  v1::EnsureActionRequest request;
  request.set_tenant(found->backup.tenant());
  *request.mutable_verify()->mutable_backup() = std::move(found->reference);
  *request.mutable_verify()->mutable_repository() = std::move(found->access);
  return RunThere(context, *clients.tenants.agents, found->place, std::move(request),
                  OnFailure::kFail);
}

StepResult Record(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = FindBackup(tables, context.Fact(kBackupFact));
  if (!row.ok()) return StepResult::Fail(row.status());
  *row->value.mutable_backup()->mutable_verify_time() = ToTimestamp(clients.clock->Now());
  context.txn().RequireRevision(tables.backups.Key(row->id), row->revision);
  tables.backups.Put(context.txn(), row->id, row->value);
  context.SetResult("backup", row->value.backup().name());
  return StepResult::Done();
}

}  // namespace

operations::Kind VerifyBackupKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "verify-backup";
  kind.steps.push_back(
      {"verify", [clients](StepContext& context) { return Verify(clients, context); },
       [clients](StepContext& context) { return CancelAtPlace(clients, context); }, true});
  kind.steps.push_back({"record",
                        [clients](StepContext& context) { return Record(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
