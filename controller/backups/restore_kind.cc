// restore: reserve → restore-data → start-container → activate, for a tenant that is placed and for
// one that was placed for it (`fresh`): a new one, or one of a lost host that is placed here
// instead.
//
// The data is put in place by one exchange of folders at the very end of the action `restore`.
// Before it a placed tenant is as it was, and undoing starts it again; after it there is no way
// back for a placed tenant, and every end says so. A fresh tenant is taken off its host by the
// compensation of start-container alone: only then is the folder surely the restored one, and never
// data that an earlier tenant of that name left.
//
// A tenant of a lost host reserves there, too, until the end: undone, it is placed there again,
// with a higher epoch, and the lease that its host gets when it is back names it again. Only when
// all is done is what the host still has of it to be taken off (EvictionRecord).
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/apply_step.h"
#include "controller/tenants/claims.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

bool IsFresh(const StepContext& context) { return context.Fact(kFreshFact) == "true"; }
bool IsToRun(const StepContext& context) {
  return IsFresh(context) || context.Fact(kWasRunningFact) == "true";
}
std::string DataStays(const StepContext& context, const std::string& host) {
  const std::string previous = context.Fact("previous_data");
  return absl::StrCat("the data of backup ", context.Fact(kBackupFact),
                      " is in place and stays; what was there before is kept aside on host ", host,
                      previous.empty() ? "" : absl::StrCat(" (data/", previous, ")"), " for a day");
}

absl::Status DataIsLeft(const StepContext& context, const std::string& host) {
  return absl::FailedPreconditionError(
      absl::StrCat("the restored data stays on host ", host, " as data of an earlier tenant \"",
                   TenantOf(context), "\"; another restore puts it aside, `mtp-cli provision ",
                   TenantOf(context), " --use-kept-data` goes on with it"));
}

bool IsFailover(const StepContext& context) { return !context.Fact(kFailedOverFromFact).empty(); }

StepResult Reserve(StepContext& context) {
  if (IsFailover(context)) {
    return StepResult::Done(absl::StrCat("host ", context.Fact(kFailedOverFromFact),
                                         " is lost; what came after the backup stays there"));
  }
  if (context.Fact(kSetAsideFact) != "true") return StepResult::Done();
  return StepResult::Done(absl::StrCat("data that an earlier tenant \"", TenantOf(context),
                                       "\" left on host ", context.record().operation().host(),
                                       " will be put aside for a day"));
}

StepResult PlaceBack(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (absl::IsNotFound(row.status())) return StepResult::Done();
  if (!row.ok()) return StepResult::Retry(row.status());
  const std::string from = context.Fact(kFailedOverFromFact);
  absl::Status status = ReleaseOn(tables, row->id, row->value.host(), context.txn());
  const int64_t epoch = NextEpoch(tables, row->id);
  if (status.ok()) status = RaiseEpoch(tables, row->id, epoch, context.txn());
  if (!status.ok()) return StepResult::Retry(status);
  int port = 0;
  if (!absl::SimpleAtoi(context.Fact(kPortBeforeFact), &port)) {
    return StepResult::Fail(absl::DataLossError("the port before the failover is not known"));
  }
  row->value.set_host(from);
  row->value.set_port(port);
  // One that asked for a host was on it.
  if (!row->value.spec().host().empty()) {
    row->value.mutable_spec()->set_host(from);
    row->value.mutable_resolved()->set_host(from);
  }
  row->value.set_epoch(epoch);
  row->value.set_leased(context.Fact(kLeasedBeforeFact) == "true");
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  StepResult result = StepResult::Done();
  result.note = absl::StrCat("it is placed on host ", from, " again, as before");
  return result;
}

StepResult Release(const BackupClients& clients, StepContext& context) {
  if (!IsFresh(context)) return StepResult::Done();
  if (IsFailover(context)) return PlaceBack(clients, context);
  const absl::Status status =
      ReleaseClaims(Tables(clients.tenants.store), TenantOf(context), context.txn());
  return status.ok() ? StepResult::Done() : StepResult::Retry(status);
}

StepResult RestoreData(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  auto found = FindBackup(tables, context.Fact(kBackupFact));
  if (!found.ok()) return StepResult::Fail(found.status());
  const v1::Backup& backup = found->value.backup();
  auto access = AccessFor(tables, *clients.tenants.box, backup.repository(), backup.tenant());
  if (!access.ok()) return StepResult::Fail(access.status());
  v1::EnsureActionRequest request;
  request.set_tenant(row->id);
  *request.mutable_restore()->mutable_backup() = ReferenceTo(backup, clients.fleet);
  *request.mutable_restore()->mutable_repository() = *std::move(access);
  context.SetResult("backup", backup.name());
  StepResult result =
      RunThere(context, *clients.tenants.agents, {row->value.host(), row->value.epoch()},
               std::move(request), OnFailure::kFail);
  // Whatever becomes of the rest; one that is placed for it has nothing until it is active.
  if (result.kind == StepResult::Kind::kDone && !IsFresh(context)) {
    NoteRestored(found->id, row->value);
    context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
    tables.tenants.Put(context.txn(), row->id, row->value);
  }
  return result;
}

StepResult StartAgain(const BackupClients& clients, StepContext& context) {
  if (!IsToRun(context)) return StepResult::Done();
  v1::EnsureActionRequest request;
  request.mutable_start();
  return RunOnHost(context, Tables(clients.tenants.store), *clients.tenants.agents,
                   std::move(request), OnFailure::kFail);
}

// The action's end decides what there is to undo, so it is waited for.
StepResult UndoRestoreData(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Done("nothing left to do");
  const std::string& host = row->value.host();
  const ActionEnd end =
      EndThere(context, *clients.tenants.agents, host, "waiting until the restore has ended");
  if (end.wait) return *end.wait;
  const bool in_place = end.begun && end.action.state() == v1::ACTION_STATE_DONE;
  // Then start-container's compensation has dealt with what is in place.
  if (in_place && HasBegun(context.record(), "start-container")) return StepResult::Done();
  if (IsFresh(context)) {
    return in_place ? StepResult::Fail(DataIsLeft(context, host)) : StepResult::Done();
  }
  StepResult started = StartAgain(clients, context);
  if (!in_place || started.kind != StepResult::Kind::kDone) return started;
  return StepResult::Fail(absl::FailedPreconditionError(DataStays(context, host)));
}

StepResult Start(const BackupClients& clients, StepContext& context) {
  if (!IsToRun(context)) {
    return StepResult::Done(
        "left stopped, as it was; `mtp-cli start` starts it with the restored data");
  }
  StepResult result = ApplyOnHost(clients.tenants, context, v1::KEPT_DATA_USE);
  if (result.kind != StepResult::Kind::kFail || IsFresh(context)) return result;
  return StepResult::Fail(absl::Status(
      result.status.code(), absl::StrCat(result.status.message(), "; ",
                                         DataStays(context, context.record().operation().host()))));
}

StepResult UndoStart(const BackupClients& clients, StepContext& context) {
  const std::string host = context.record().operation().host();
  if (!IsFresh(context)) {
    (void)CancelThere(context, *clients.tenants.agents, host).status();
    // A failure of the step says so itself.
    const auto& step = context.record().operation().steps(context.record().step());
    if (step.state() == v1::STEP_STATE_FAILED) return StepResult::Done();
    return StepResult::Fail(absl::FailedPreconditionError(DataStays(context, host)));
  }
  // Whether the host was ever told of the tenant has to be known: one that was not takes nothing
  // off.
  const ActionEnd end =
      EndThere(context, *clients.tenants.agents, host, "waiting until the start has ended");
  if (end.wait) return *end.wait;
  v1::EnsureActionRequest request;
  request.mutable_remove()->set_keep_data(false);
  StepResult removed = RunOnHost(context, Tables(clients.tenants.store), *clients.tenants.agents,
                                 std::move(request), OnFailure::kTryAgain);
  // A tenant that its host was never told of has no data there, as far as the host knows.
  if (removed.kind != StepResult::Kind::kDone || end.begun) return removed;
  return StepResult::Fail(DataIsLeft(context, host));
}

// What the lost host has of it is an old copy from now on.
StepResult ActivateHere(const BackupClients& clients, StepContext& context) {
  if (IsFailover(context)) {
    const Tables tables(clients.tenants.store);
    const auto row = tables.tenants.Get(TenantOf(context));
    if (!row.ok()) return StepResult::Retry(row.status());
    const std::string from = context.Fact(kFailedOverFromFact);
    const absl::Status released = ReleaseOn(tables, row->id, from, context.txn());
    if (!released.ok()) return StepResult::Retry(released);
    state::v1::EvictionRecord eviction;
    eviction.set_host(from);
    eviction.set_tenant(row->id);
    eviction.set_epoch(row->value.epoch());
    *eviction.mutable_create_time() = ToTimestamp(clients.clock->Now());
    tables.evictions.Put(context.txn(), EvictionId(from, row->id), eviction);
    context.SetResult(kFailedOverFromFact, from);
  }
  return Activate(clients.tenants, context, IsFresh(context) ? context.Fact(kBackupFact) : "");
}

}  // namespace

operations::Kind RestoreKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "restore";
  // Not cancellable: what was reserved is released by its compensation alone.
  kind.steps.push_back({"reserve", [](StepContext& context) { return Reserve(context); },
                        [clients](StepContext& context) { return Release(clients, context); },
                        false});
  kind.steps.push_back(
      {"restore-data", [clients](StepContext& context) { return RestoreData(clients, context); },
       [clients](StepContext& context) { return UndoRestoreData(clients, context); }, true});
  kind.steps.push_back(
      {"start-container", [clients](StepContext& context) { return Start(clients, context); },
       [clients](StepContext& context) { return UndoStart(clients, context); }, true});
  kind.steps.push_back({"activate",
                        [clients](StepContext& context) { return ActivateHere(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
