// update: pull → backup → rehearse → stop → final-backup → start-container → soak → record.
//
// Nothing of the tenant is touched before `stop`. The backup after it is what a rollback brings
// back: nobody said anything since. From `start-container` on the new image may have changed the
// state for good (migrations are one-way), so undoing that step restores the final backup, whatever
// became of the action; the newer state is kept aside on the host. Undoing `stop` then starts the
// old image, by what it is and not by a tag that may have moved. Image and state go back together
// or not at all: a restore is tried until it is done.
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/durations.h"
#include "common/base/status.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/drill_room.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/backups/snapshot_steps.h"
#include "controller/backups/updates.h"
#include "controller/state/fleet.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/apply_step.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr char kBackupStep[] = "backup";
constexpr char kFinalBackupStep[] = "final-backup";
constexpr char kStartStep[] = "start-container";
constexpr char kReason[] = "before-update";
// Fact of an undone start-container: the state is the one that the old image knows.
constexpr char kStateIsOldFact[] = "state_is_old";
// Said by an agent whose stop has gone beyond waiting for an idle moment.
constexpr char kStoppingResult[] = "stopping";
// Said by it when the tenant was not ready: the parts that were not, with commas between.
constexpr char kFailingResult[] = "failing";
constexpr char kFailingBeforeFact[] = "failing_before";
constexpr absl::Duration kRoomRecheck = absl::Seconds(20);
// Starts of the old image that are tried before the operation ends and says so. Its agent goes on
// with it by itself.
constexpr int kMaxStarts = 3;

google::protobuf::Duration SecondsFact(const StepContext& context, const char* name) {
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(context.Fact(name), &seconds)) seconds = 0;
  return ToDuration(absl::Seconds(seconds));
}

bool IsRehearsed(const StepContext& context) { return context.Fact(kRehearseFact) == "true"; }

StepResult LeftOut() { return StepResult::Done("left out: no rehearsal was asked for"); }

// An action that ends by itself and leaves nothing behind; the next one waits for its end.
StepResult Cancel(const BackupClients& clients, const StepContext& context) {
  CancelRun(context, *clients.tenants.agents);
  return StepResult::Done();
}

StepResult Pull(const BackupClients& clients, StepContext& context) {
  const std::string& host = context.record().operation().host();
  const std::string image = context.Fact(kToImageFact);
  v1::EnsureActionRequest request;
  request.mutable_pull()->set_image(image);
  StepResult result =
      RunThere(context, *clients.tenants.agents, {host, 0}, std::move(request), OnFailure::kFail);
  if (result.kind != StepResult::Kind::kDone) return result;
  const auto pinned = context.new_results().find("pinned");
  if (pinned != context.new_results().end() && pinned->second == image) return result;
  return StepResult::Fail(absl::FailedPreconditionError(
      absl::StrCat("host ", host, " has ",
                   pinned == context.new_results().end() ? "another image" : pinned->second,
                   " for ", image, "; bring the same image onto every host and update again")));
}

bool OthersHaveSandboxes(const Tables& tables, const std::string& host) {
  const auto row = tables.allocations.Get(host);
  if (!row.ok()) return false;
  const auto& allocations = row->value.allocations();
  return std::any_of(allocations.begin(), allocations.end(), [](const auto& allocation) {
    return absl::StartsWith(allocation.tenant(), kSandboxPrefix);
  });
}

// Room for the rehearsal's sandbox is taken in the transaction that ends this step. Where other
// sandboxes have it, they end soon.
StepResult TakeRoom(const Tables& tables, StepContext& context) {
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  const absl::Status taken =
      TakeDrillRoom(tables, row->value.host(), OperationIdOf(context),
                    row->value.resolved().memory_reservation_mib(), context.txn());
  if (taken.ok()) return StepResult::Done();
  if (!absl::IsResourceExhausted(taken)) return StepResult::Fail(taken);
  if (OthersHaveSandboxes(tables, row->value.host())) {
    return StepResult::Wait(kRoomRecheck, absl::StrCat("waiting: ", taken.message()));
  }
  return StepResult::Fail(Annotate(taken, "the rehearsal (`--no-rehearsal` goes without)"));
}

StepResult Backup(const BackupClients& clients, StepContext& context) {
  if (!IsRehearsed(context)) return LeftOut();
  const std::string id = context.Fact(kOnlineBackupFact);
  StepResult result = TakeSnapshot(clients, context, id);
  if (result.kind != StepResult::Kind::kDone) return result;
  result = TakeRoom(Tables(clients.tenants.store), context);
  if (result.kind != StepResult::Kind::kDone) return result;
  return RecordBackup(clients, context, kReason, id);
}

StepResult EndBackup(const BackupClients& clients, StepContext& context) {
  if (!IsRehearsed(context)) return StepResult::Done();
  return LeaveSnapshot(clients, context, context.Fact(kOnlineBackupFact));
}

StepResult EndFinalBackup(const BackupClients& clients, StepContext& context) {
  return LeaveSnapshot(clients, context, context.Fact(kFinalBackupFact));
}

StepResult Rehearse(const BackupClients& clients, StepContext& context) {
  if (!IsRehearsed(context)) return LeftOut();
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  auto backup = FindBackup(tables, context.Fact(kOnlineBackupFact));
  if (!backup.ok()) return StepResult::Fail(backup.status());
  auto access = AccessFor(tables, *clients.tenants.box, context.Fact(kRepositoryFact), row->id);
  if (!access.ok()) return StepResult::Fail(access.status());
  v1::EnsureActionRequest request;
  v1::DrillBackupAction& drill = *request.mutable_drill();
  *drill.mutable_backup() = ReferenceTo(backup->value.backup(), clients.fleet);
  *drill.mutable_repository() = *std::move(access);
  *drill.mutable_spec() = row->value.resolved();
  drill.mutable_spec()->set_image(context.Fact(kToImageFact));
  StepResult result =
      RunOnHost(context, tables, *clients.tenants.agents, std::move(request), OnFailure::kFail);
  if (result.kind == StepResult::Kind::kFail) {
    return StepResult::Fail(
        absl::Status(result.status.code(),
                     absl::StrCat("the new image does not work with a copy of the tenant's state: ",
                                  result.status.message())));
  }
  if (result.kind == StepResult::Kind::kDone) {
    ReleaseDrillRoom(tables, row->value.host(), OperationIdOf(context), context.txn());
  }
  return result;
}

StepResult Stop(const BackupClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  *request.mutable_stop()->mutable_idle_wait() = SecondsFact(context, kIdleWaitFact);
  StepResult result = RunOnHost(context, Tables(clients.tenants.store), *clients.tenants.agents,
                                std::move(request), OnFailure::kFail);
  const auto failing = context.new_results().find(kFailingResult);
  if (result.kind == StepResult::Kind::kDone && failing != context.new_results().end()) {
    context.SetFact(kFailingBeforeFact, failing->second);
  }
  return result;
}

StepResult FinalBackup(const BackupClients& clients, StepContext& context) {
  const std::string id = context.Fact(kFinalBackupFact);
  StepResult result = TakeSnapshot(clients, context, id);
  if (result.kind != StepResult::Kind::kDone) return result;
  // What it wrote after that moment would not come back with a rollback.
  const auto image = context.new_results().find("image_digest");
  if (image != context.new_results().end() && !image->second.empty()) {
    return StepResult::Fail(absl::FailedPreconditionError(
        "something started the tenant while the backup before its update was made; end that, and "
        "update it again"));
  }
  return RecordBackup(clients, context, kReason, id);
}

StepResult Start(const BackupClients& clients, StepContext& context) {
  auto request = ApplyRequest(clients.tenants, TenantOf(context), v1::KEPT_DATA_USE);
  if (!request.ok()) return StepResult::Fail(request.status());
  request->mutable_apply()->mutable_spec()->set_image(context.Fact(kToImageFact));
  request->mutable_apply()->set_probation(true);
  return RunOnHost(context, Tables(clients.tenants.store), *clients.tenants.agents,
                   *std::move(request), OnFailure::kFail);
}

StepResult Soak(const BackupClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  *request.mutable_soak()->mutable_duration() = SecondsFact(context, kSoakFact);
  // What was not well before, such as a channel whose token is dead, says nothing of the image.
  const std::vector<std::string> failing =
      absl::StrSplit(context.Fact(kFailingBeforeFact), ',', absl::SkipEmpty());
  for (const std::string& part : failing) request.mutable_soak()->add_failing_before(part);
  StepResult result = RunOnHost(context, Tables(clients.tenants.store), *clients.tenants.agents,
                                std::move(request), OnFailure::kFail);
  if (result.kind == StepResult::Kind::kDone && !failing.empty()) {
    result.message = absl::StrCat("it is as well as it was; ", absl::StrJoin(failing, ", "),
                                  " did not work before, either");
  }
  return result;
}

StepResult Record(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  const std::string from = context.Fact(kFromImageFact);
  const std::string to = context.Fact(kToImageFact);
  if (from != to) row->value.set_previous_image(from);
  row->value.mutable_resolved()->set_image(to);
  row->value.set_pinned(true);
  if (const std::string asked = context.Fact(kSpecImageFact); !asked.empty()) {
    row->value.mutable_spec()->set_image(asked);
  }
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  context.SetResult("image", to);
  context.SetResult("previous_image", from);
  return StepResult::Done();
}

ActionEnd EndOf(const BackupClients& clients, const StepContext& context) {
  return EndThere(context, *clients.tenants.agents, context.record().operation().host(),
                  "waiting until what goes on has ended");
}

// The state as it was when the tenant was stopped. Tried until it is done: the old image cannot
// live with what a new one may have made of the state.
StepResult BringStateBack(const BackupClients& clients, StepContext& context) {
  const ActionEnd end = EndOf(clients, context);
  if (end.wait) return *end.wait;
  if (!end.begun) {
    context.SetFact(kStateIsOldFact, "true");
    return StepResult::Done("the new image was never started");
  }
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  auto backup = FindBackup(tables, context.Fact(kFinalBackupFact));
  if (!backup.ok()) return StepResult::Retry(backup.status());
  auto access = AccessFor(tables, *clients.tenants.box, context.Fact(kRepositoryFact), row->id);
  if (!access.ok()) return StepResult::Retry(access.status());
  v1::EnsureActionRequest request;
  *request.mutable_restore()->mutable_backup() = ReferenceTo(backup->value.backup(), clients.fleet);
  *request.mutable_restore()->mutable_repository() = *std::move(access);
  StepResult result =
      RunOnHost(context, tables, *clients.tenants.agents, std::move(request), OnFailure::kTryAgain);
  if (result.kind != StepResult::Kind::kDone) return result;
  context.SetFact(kStateIsOldFact, "true");
  const auto aside = context.new_results().find("previous_data");
  const bool named = aside != context.new_results().end() && !aside->second.empty();
  result.note = absl::StrCat(
      "its state is back as it was when it was stopped (backup ", context.Fact(kFinalBackupFact),
      "); what the new image made of it is kept aside on host ", row->value.host(),
      named ? absl::StrCat(" (data/", aside->second, ")") : "", " for a day");
  return result;
}

// The old image again, and the record says which it is.
StepResult BringImageBack(const BackupClients& clients, StepContext& context) {
  const ActionEnd end = EndOf(clients, context);
  if (end.wait) return *end.wait;
  const bool stopped =
      end.action.state() == v1::ACTION_STATE_DONE || end.action.result().count(kStoppingResult) > 0;
  if (!end.begun || !stopped) return StepResult::Done("it was not stopped");
  if (HasBegun(context.record(), kStartStep) && context.Fact(kStateIsOldFact) != "true") {
    return StepResult::Fail(absl::FailedPreconditionError(absl::StrCat(
        "the old image is not started, since it cannot live with what the new one may have made of "
        "the state; `mtp-cli backup restore ",
        TenantOf(context), " --from ", context.Fact(kFinalBackupFact), "` brings both back")));
  }
  const Tables tables(clients.tenants.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  const std::string image = context.Fact(kFromImageFact);
  auto request = ApplyRequest(clients.tenants, row->id, v1::KEPT_DATA_USE);
  if (!request.ok()) return StepResult::Retry(request.status());
  request->mutable_apply()->mutable_spec()->set_image(image);
  const bool last = RoundsFailed(context) + 1 >= kMaxStarts;
  StepResult result = RunOnHost(context, tables, *clients.tenants.agents, *std::move(request),
                                last ? OnFailure::kFail : OnFailure::kTryAgain);
  if (result.kind == StepResult::Kind::kFail) {
    return StepResult::Fail(
        absl::Status(result.status.code(),
                     absl::StrCat(kIsBack, " ", image, ", and is not ready with it either: ",
                                  result.status.message(), "; its host tries on")));
  }
  if (result.kind != StepResult::Kind::kDone) return result;
  if (row->value.resolved().image() != image) {
    row->value.mutable_resolved()->set_image(image);
    row->value.set_pinned(IsPinned(image));
    context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
    tables.tenants.Put(context.txn(), row->id, row->value);
  }
  result.note = absl::StrCat(kIsBack, " ", image);
  return result;
}

void NoteEnd(const BackupClients& clients, const state::v1::OperationRecord& ended, kv::Txn& txn) {
  ReleaseDrillRoom(Tables(clients.tenants.store), ended.operation().host(), OperationIdOf(ended),
                   txn);
  const auto& steps = ended.operation().steps();
  if (std::any_of(steps.begin(), steps.end(), [](const auto& step) {
        return (step.name() == kBackupStep || step.name() == kFinalBackupStep) &&
               step.state() == v1::STEP_STATE_FAILED;
      })) {
    NoteBackupFailure(clients, ended, txn);
  }
  if (FactOf(ended, kRehearseFact) == "true") {
    LeaveToPruning(clients, ended, kBackupStep, FactOf(ended, kOnlineBackupFact), txn);
  }
  LeaveToPruning(clients, ended, kFinalBackupStep, FactOf(ended, kFinalBackupFact), txn);
}

}  // namespace

operations::Kind UpdateKind(const BackupClients& clients) {
  using Function = StepResult (*)(const BackupClients&, StepContext&);
  const auto bind = [clients](Function function) {
    return [clients, function](StepContext& context) { return function(clients, context); };
  };
  const auto cancel = [clients](StepContext& context) { return Cancel(clients, context); };
  operations::Kind kind;
  kind.name = "update";
  // The image stays: another tenant of the host may need it next.
  kind.steps.push_back({"pull", bind(Pull), cancel, true});
  kind.steps.push_back({kBackupStep, bind(Backup), bind(EndBackup), true});
  kind.steps.push_back({"rehearse", bind(Rehearse), cancel, true});
  kind.steps.push_back({"stop", bind(Stop), bind(BringImageBack), true});
  kind.steps.push_back({kFinalBackupStep, bind(FinalBackup), bind(EndFinalBackup), true});
  kind.steps.push_back({kStartStep, bind(Start), bind(BringStateBack), true});
  kind.steps.push_back({"soak", bind(Soak), cancel, true});
  kind.steps.push_back({"record", bind(Record), nullptr, false});
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    NoteEnd(clients, ended, txn);
  };
  return kind;
}

}  // namespace mtp
