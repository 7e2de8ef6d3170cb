#include "controller/backups/snapshot_steps.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "common/base/timestamps.h"
#include "common/base/utf8.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr size_t kMaxFailureBytes = 1000;
// An action that is being ended is looked at again this soon.
constexpr absl::Duration kEndRecheck = absl::Seconds(2);
// How long a host may be away when a backup is called off: an agent that starts again, not a host
// that is lost, whose tenants wait to be placed elsewhere.
constexpr absl::Duration kHostPatience = absl::Seconds(15);
constexpr char kAwaySinceFact[] = "away_since";
constexpr char kEnding[] = "ending the backup";
// `true` when the repository may have a snapshot of the operation that is in no catalogue.
constexpr char kLeftSnapshotFact[] = "left_snapshot";

std::string IdOr(const StepContext& context, const std::string& id) {
  return id.empty() ? OperationIdOf(context) : id;
}

// For a while after the first look. By the wall clock; one that is set back ends it.
bool MayBeBackSoon(const BackupClients& clients, StepContext& context) {
  const absl::Time now = clients.clock->Now();
  int64_t since = 0;
  if (!absl::SimpleAtoi(context.Fact(kAwaySinceFact), &since)) {
    context.SetFact(kAwaySinceFact, absl::StrCat(absl::ToUnixSeconds(now)));
    return true;
  }
  const absl::Duration away = now - absl::FromUnixSeconds(since);
  return away > -absl::Seconds(1) && away < kHostPatience;
}

// One that failed has told why: nothing was written, or the repository cannot be asked. One that is
// not known to the host was never begun. Of all others nobody can tell.
bool MayLeaveSnapshot(const Tables& tables, const StepContext& context, const std::string& id,
                      const absl::StatusOr<v1::Action>& action) {
  if (context.Fact(kRepositoryFact).empty() || tables.backups.Get(id).ok()) return false;
  return action.ok() ? action->state() != v1::ACTION_STATE_FAILED
                     : !absl::IsNotFound(action.status());
}

void PutLeftSnapshot(const BackupClients& clients, const state::v1::OperationRecord& record,
                     const std::string& id, kv::Txn& txn) {
  state::v1::BackupRecord left;
  v1::Backup& backup = *left.mutable_backup();
  backup.set_name("backups/" + id);
  backup.set_tenant(std::string(TenantOf(record)));
  backup.set_host(record.operation().host());
  backup.set_repository(FactOf(record, kRepositoryFact));
  *backup.mutable_start_time() = ToTimestamp(clients.clock->Now());
  backup.set_reason(kCalledOffReason);
  Tables(clients.tenants.store).left_snapshots.Put(txn, id, left);
}

StepResult Leave(const BackupClients& clients, StepContext& context, const std::string& id) {
  PutLeftSnapshot(clients, context.record(), id, context.txn());
  return StepResult::Done();
}

StepResult Forget(const BackupClients& clients, StepContext& context,
                  const kv::Row<state::v1::TenantRecord>& row) {
  const std::string id = OperationIdOf(context);
  auto access = AccessFor(Tables(clients.tenants.store), *clients.tenants.box,
                          context.Fact(kRepositoryFact), row.id);
  if (!access.ok()) return Leave(clients, context, id);
  v1::EnsureActionRequest request;
  request.set_tenant(row.id);
  v1::ForgetBackupsAction& forget = *request.mutable_forget();
  forget.set_fleet(clients.fleet);
  forget.add_backup_ids(id);
  *forget.mutable_repository() = *std::move(access);
  // Its results are of no interest to whoever asked for the backup.
  StepContext here(context.record(), absl::StrCat(context.key(), "/forget"));
  StepResult result = RunThere(here, *clients.tenants.agents, {row.value.host(), row.value.epoch()},
                               std::move(request), OnFailure::kFail);
  return result.kind == StepResult::Kind::kFail ? Leave(clients, context, id) : result;
}

}  // namespace

StepResult TakeSnapshot(const BackupClients& clients, StepContext& context, const std::string& id) {
  const Tables tables(clients.tenants.store);
  const std::string tenant = TenantOf(context);
  auto row = tables.tenants.Get(tenant);
  if (!row.ok()) return StepResult::Fail(row.status());
  auto access = AccessFor(tables, *clients.tenants.box, context.Fact(kRepositoryFact), tenant);
  if (!access.ok()) return StepResult::Fail(access.status());
  v1::EnsureActionRequest request;
  v1::SnapshotTenantAction& snapshot = *request.mutable_snapshot();
  snapshot.set_backup_id(IdOr(context, id));
  snapshot.set_fleet(clients.fleet);
  *snapshot.mutable_repository() = *std::move(access);
  return RunOnHost(context, tables, *clients.tenants.agents, std::move(request), OnFailure::kFail);
}

StepResult CancelSnapshot(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  const auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Done();
  const auto action = CancelThere(context, *clients.tenants.agents, row->value.host());
  if (absl::IsUnavailable(action.status()) && MayBeBackSoon(clients, context)) {
    return StepResult::Wait(kEndRecheck, absl::StrCat("waiting: ", action.status().message()));
  }
  if (action.ok() && action->state() == v1::ACTION_STATE_RUNNING) {
    return StepResult::Wait(kEndRecheck, kEnding);
  }
  const std::string id = OperationIdOf(context);
  if (!MayLeaveSnapshot(tables, context, id, action)) return StepResult::Done();
  return action.ok() ? Forget(clients, context, *row) : Leave(clients, context, id);
}

StepResult LeaveSnapshot(const BackupClients& clients, StepContext& context,
                         const std::string& id) {
  const auto action =
      CancelThere(context, *clients.tenants.agents, context.record().operation().host());
  return MayLeaveSnapshot(Tables(clients.tenants.store), context, id, action)
             ? Leave(clients, context, id)
             : StepResult::Done();
}

StepResult EndSnapshot(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  const auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Done();
  const ActionEnd end = EndThere(context, *clients.tenants.agents, row->value.host(), kEnding);
  if (end.wait) return *end.wait;
  if (end.begun && MayLeaveSnapshot(tables, context, OperationIdOf(context), end.action)) {
    context.SetFact(kLeftSnapshotFact, "true");
  }
  return StepResult::Done();
}

StepResult ForgetLeftSnapshot(const BackupClients& clients, StepContext& context) {
  if (context.Fact(kLeftSnapshotFact) != "true") return StepResult::Done();
  const auto row = Tables(clients.tenants.store).tenants.Get(TenantOf(context));
  return row.ok() ? Forget(clients, context, *row) : StepResult::Done();
}

StepResult RecordBackup(const BackupClients& clients, StepContext& context,
                        const std::string& reason, const std::string& id_or_empty) {
  const Tables tables(clients.tenants.store);
  const std::string id = IdOr(context, id_or_empty);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  auto backup = BackupFromFacts(context, id);
  if (!backup.ok()) return StepResult::Fail(backup.status());
  auto sealed = ResealSecrets(tables, *clients.tenants.box, row->id, tables.backups.Key(id));
  if (!sealed.ok()) return StepResult::Fail(sealed.status());
  backup->set_tenant(row->id);
  backup->set_host(row->value.host());
  backup->set_repository(context.Fact(kRepositoryFact));
  *backup->mutable_spec() = row->value.spec();
  backup->set_reason(reason);
  context.SetResult("backup", backup->name());

  const bool first = !row->value.has_last_backup_time() || !row->value.restored_from().empty();
  if (first && row->value.first_backup().empty()) row->value.set_first_backup(id);
  *row->value.mutable_last_backup_time() = backup->start_time();
  row->value.clear_backup_failure();
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  state::v1::BackupRecord record;
  *record.mutable_backup() = *std::move(backup);
  record.set_sealed_secrets(*std::move(sealed));
  tables.backups.Put(context.txn(), id, record);
  NoteSuccess(tables, context.Fact(kRepositoryFact), clients.clock->Now(), context.txn());
  return StepResult::Done();
}

void LeaveToPruning(const BackupClients& clients, const state::v1::OperationRecord& ended,
                    absl::string_view step, const std::string& id, kv::Txn& txn) {
  const Tables tables(clients.tenants.store);
  const auto tenant = tables.tenants.Get(TenantOf(ended));
  const bool there = tenant.ok() && tenant->value.host() == ended.operation().host();
  const bool may_be_left = !id.empty() && !FactOf(ended, kRepositoryFact).empty() &&
                           HasBegun(ended, step) && !tables.backups.Get(id).ok();
  if (!there && may_be_left) PutLeftSnapshot(clients, ended, id, txn);
}

void PutBackupFailure(const Tables& tables, absl::string_view tenant, absl::string_view why,
                      kv::Txn& txn) {
  auto row = tables.tenants.Get(tenant);
  const std::string text = ValidUtf8(why, kMaxFailureBytes);
  if (!row.ok() || row->value.backup_failure() == text) return;
  row->value.set_backup_failure(text);
  txn.RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(txn, row->id, row->value);
}

void NoteBackupFailure(const BackupClients& clients, const state::v1::OperationRecord& ended,
                       kv::Txn& txn) {
  const v1::Operation& operation = ended.operation();
  const Tables tables(clients.tenants.store);
  const std::string& why = operation.error().message();
  const absl::string_view tenant = TenantOf(ended);
  // One that is gone says nothing of the repository.
  if (absl::IsNotFound(tables.tenants.Get(tenant).status())) return;
  PutBackupFailure(tables, tenant, why, txn);
  const std::string repository = FactOf(ended, kRepositoryFact);
  NoteFailure(tables, repository, FromTimestamp(operation.end_time()), why, txn);
}

}  // namespace mtp
