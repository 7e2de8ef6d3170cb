// remove: stop → backup → remove-from-host → release. Up to the backup a failure brings the tenant
// back; after it there is no way back, and the rest is tried until it is done.
//
// Where the final backup goes was decided when the operation was created: into a repository and the
// catalogue, or, in a fleet that had none, into an archive on the host. One that an earlier version
// created has no such decision and takes the archive.
//
// Of a tenant that its host does not have there is nothing to back up, and the removal ends well
// without. What its host says of that may be wrong, so then no data is deleted there.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/snapshot_steps.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/claims.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr char kBackupStep[] = "backup";
// A result of the action `stop` when the host has neither data nor container of the tenant.
constexpr char kAbsentFact[] = "absent";

bool IsAbsent(const StepContext& context) { return context.Fact(kAbsentFact) == "true"; }

StepResult Stop(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_stop();
  StepResult result = RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                                OnFailure::kFail);
  if (result.kind != StepResult::Kind::kFail || !absl::IsNotFound(result.status)) return result;
  // Not even the host's journal has it.
  context.SetFact(kAbsentFact, "true");
  context.SetResult(kAbsentFact, "true");
  return StepResult::Done(std::string(result.status.message()));
}

// The tenant first: what its backup has left in the repository can wait.
StepResult StartAgain(const BackupClients& clients, StepContext& context) {
  const Tables tables(clients.tenants.store);
  CancelRun(context, *clients.tenants.agents);
  if (context.Fact(kWasRunningFact) == "true") {
    v1::EnsureActionRequest request;
    request.mutable_start();
    StepResult result =
        RunOnHost(context, tables, *clients.tenants.agents, std::move(request), OnFailure::kFail);
    if (result.kind != StepResult::Kind::kDone) return result;
  }
  return ForgetLeftSnapshot(clients, context);
}

StepResult ArchiveOnHost(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_backup()->set_backup_id(OperationIdOf(context));
  return RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                   OnFailure::kFail);
}

absl::Status NotRemoved(const std::string& repository, const absl::Status& why) {
  return {why.code(), absl::StrCat("there is no final backup in repository ", repository,
                                   ", so the tenant is not removed: ", std::string(why.message()),
                                   "; see that the repository works (`mtp-cli repository check ",
                                   repository, "`), then remove the tenant again")};
}

StepResult BackUpIntoRepository(const BackupClients& clients, StepContext& context) {
  const std::string repository = context.Fact(kRepositoryFact);
  StepResult result = TakeSnapshot(clients, context);
  if (result.kind == StepResult::Kind::kDone) {
    // What it wrote after that moment would be lost with it.
    if (!context.Fact("image_digest").empty()) {
      return StepResult::Fail(absl::FailedPreconditionError(
          "something started the tenant while its final backup was made, so it is not removed; "
          "end that, and remove it again"));
    }
    context.SetResult(kRepositoryFact, repository);
    result = RecordBackup(clients, context, "removal");
  }
  if (result.kind == StepResult::Kind::kFail) {
    return StepResult::Fail(NotRemoved(repository, result.status));
  }
  return result;
}

StepResult Backup(const BackupClients& clients, StepContext& context) {
  if (IsAbsent(context)) {
    return StepResult::Done(absl::StrCat("host ", context.record().operation().host(),
                                         " does not have it: there is nothing to back up"));
  }
  return context.Fact(kRepositoryFact).empty() ? ArchiveOnHost(clients.tenants, context)
                                               : BackUpIntoRepository(clients, context);
}

StepResult TakeOffHost(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_remove()->set_keep_data(context.Fact(kKeepDataFact) == "true" ||
                                          IsAbsent(context));
  return RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                   OnFailure::kTryAgain);
}

StepResult Release(const TenantClients& clients, StepContext& context) {
  const absl::Status status =
      ReleaseClaims(Tables(clients.store), TenantOf(context), context.txn());
  return status.ok() ? StepResult::Done() : StepResult::Retry(status);
}

bool FailedInBackup(const v1::Operation& operation) {
  return std::any_of(operation.steps().begin(), operation.steps().end(), [](const auto& step) {
    return step.name() == kBackupStep && step.state() == v1::STEP_STATE_FAILED;
  });
}

}  // namespace

operations::Kind RemoveKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "remove";
  kind.steps.push_back(
      {"stop", [clients](StepContext& context) { return Stop(clients.tenants, context); },
       [clients](StepContext& context) { return StartAgain(clients, context); }, true});
  kind.steps.push_back(
      {kBackupStep, [clients](StepContext& context) { return Backup(clients, context); },
       [clients](StepContext& context) { return EndSnapshot(clients, context); }, true});
  kind.steps.push_back(
      {"remove-from-host",
       [clients](StepContext& context) { return TakeOffHost(clients.tenants, context); }, nullptr,
       false});
  kind.steps.push_back(
      {"release", [clients](StepContext& context) { return Release(clients.tenants, context); },
       nullptr, false});
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    if (FailedInBackup(ended.operation())) NoteBackupFailure(clients, ended, txn);
    if (ended.facts().count(kAbsentFact) > 0) return;
    LeaveToPruning(clients, ended, kBackupStep, OperationIdOf(ended), txn);
  };
  return kind;
}

}  // namespace mtp
