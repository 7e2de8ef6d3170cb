// verify-backup: verify → record. Where it takes place was decided when it was created, since the
// tenant is not locked for it.
#include <absl/strings/numbers.h>

#include "common/base/timestamps.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult Verify(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = FindBackup(tables, context.Fact(kBackupFact));
  if (!row.ok()) return StepResult::Fail(row.status());
  const v1::Backup& backup = row->value.backup();
  auto access = AccessFor(tables, *clients.tenants.box, backup.repository(), backup.tenant());
  if (!access.ok()) return StepResult::Fail(access.status());
  ActionPlace place{context.Fact(kHostFact)};
  if (!absl::SimpleAtoi(context.Fact(kEpochFact), &place.epoch)) place.epoch = 0;
  v1::EnsureActionRequest request;
  request.set_tenant(backup.tenant());
  *request.mutable_verify()->mutable_backup() = ReferenceTo(backup, clients.fleet);
  *request.mutable_verify()->mutable_repository() = *std::move(access);
  return RunThere(context, *clients.tenants.agents, place, std::move(request), OnFailure::kFail);
}

StepResult CancelVerify(const BackupClients& clients, StepContext& context) {
  // What cannot be reached ends by itself and changes nothing.
  (void)CancelThere(context, *clients.tenants.agents, context.Fact(kHostFact)).status();
  return StepResult::Done();
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
       [clients](StepContext& context) { return CancelVerify(clients, context); }, true});
  kind.steps.push_back({"record",
                        [clients](StepContext& context) { return Record(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
