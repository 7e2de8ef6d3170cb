// prune: forget. One repository after another, each by one action of a host. A repository that
// fails does not keep the others from being pruned; the operation fails at its end.
//
// A backup leaves the catalogue, and what a called off one may have left is forgotten, when its
// snapshot is known to be gone, in the transaction that ends the step or its compensation. One
// whose removal was cut short stays in it, and is removed by the next pruning: the agent takes
// absent snapshots for removed.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/base/status.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// An action whose end is not known is looked at again this soon.
constexpr absl::Duration kRecheck = absl::Seconds(2);
constexpr char kRemoved[] = "removed";
constexpr char kFreedBytes[] = "freed_bytes";

// What one host removes from one repository.
struct Part {
  std::string repository;
  std::string host;
  std::vector<std::string> ids;

  std::string Name() const { return absl::StrCat(repository, "/", host); }
  // Facts: `true` once it has ended; `true` when its snapshots are gone; why it failed.
  std::string Ended() const { return "ended " + Name(); }
  std::string Gone() const { return "gone " + Name(); }
  std::string Failure() const { return "failure " + Name(); }
};

std::vector<Part> PartsOf(const StepContext& context) {
  v1::PruneBackupsResponse input;
  if (!input.ParseFromString(context.record().input())) return {};
  std::map<std::pair<std::string, std::string>, Part> parts;
  for (const v1::Backup& backup : input.backups()) {
    const std::string host = context.Fact(PrunerFact(backup));
    Part& part = parts[{backup.repository(), host}];
    part.repository = backup.repository();
    part.host = host;
    part.ids.emplace_back(absl::StripPrefix(backup.name(), "backups/"));
  }
  std::vector<Part> list;
  for (auto& [name, part] : parts) list.push_back(std::move(part));
  return list;
}

// The step as one part sees it: with a key of its own.
StepContext ContextFor(const StepContext& context, const Part& part) {
  return {context.record(),
          absl::StrCat(absl::StripSuffix(context.key(), "/undo"), "/", part.Name())};
}

int64_t NumberIn(const std::string& text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? std::max<int64_t>(number, 0) : 0;
}

// Adds what a part's action has told to the sums.
template <typename Results>
void AddUp(StepContext& context, const Results& results) {
  for (const char* name : {kRemoved, kFreedBytes}) {
    const auto found = results.find(name);
    if (found == results.end()) continue;
    const std::string sum = absl::StrCat(NumberIn(context.Fact(name)) + NumberIn(found->second));
    context.SetFact(name, sum);
    context.SetResult(name, sum);
  }
}

StepResult Run(const BackupClients& clients, StepContext& here, const Part& part) {
  const std::string tenant = TenantOf(here);
  auto access =
      AccessFor(Tables(clients.tenants.store), *clients.tenants.box, part.repository, tenant);
  if (!access.ok()) return StepResult::Fail(access.status());
  v1::EnsureActionRequest request;
  request.set_tenant(tenant);
  v1::ForgetBackupsAction& forget = *request.mutable_forget();
  forget.set_fleet(clients.fleet);
  for (const std::string& id : part.ids) forget.add_backup_ids(id);
  *forget.mutable_repository() = *std::move(access);
  return RunThere(here, *clients.tenants.agents,
                  {part.host, std::max<int64_t>(NumberIn(here.Fact(kEpochFact)), 1)},
                  std::move(request), OnFailure::kFail);
}

// Its end is made durable before the next begins.
StepResult Carry(const BackupClients& clients, StepContext& context, const Part& part) {
  StepContext here = ContextFor(context, part);
  const StepResult result = Run(clients, here, part);
  switch (result.kind) {
    case StepResult::Kind::kWait:
    case StepResult::Kind::kRetry:
      return result;
    case StepResult::Kind::kDone:
      AddUp(context, here.new_results());
      context.SetFact(part.Gone(), "true");
      break;
    case StepResult::Kind::kFail: {
      // It may have failed when the snapshots were gone already. An ended action is not changed.
      const auto action = CancelThere(here, *clients.tenants.agents, part.host);
      if (!action.ok() && !absl::IsNotFound(action.status())) {
        return StepResult::Wait(kRecheck,
                                absl::StrCat("waiting: ", std::string(action.status().message())));
      }
      if (action.ok() && action->result().count(kRemoved) > 0) {
        AddUp(context, action->result());
        context.SetFact(part.Gone(), "true");
      }
      context.SetFact(part.Failure(), absl::StrCat("repository ", part.repository, ": ",
                                                   std::string(result.status.message())));
      break;
    }
  }
  context.SetFact(part.Ended(), "true");
  return StepResult::Wait(absl::ZeroDuration(),
                          absl::StrCat("pruned in repository ", part.repository));
}

void TakeFromCatalogue(const BackupClients& clients, StepContext& context, const Part& part) {
  const Tables tables(clients.tenants.store);
  for (const std::string& id : part.ids) {
    const bool left = tables.left_snapshots.Get(id).ok();
    context.txn()
        .Delete(left ? tables.left_snapshots.Key(id) : tables.backups.Key(id))
        .LeaveNoTrace();
  }
}

StepResult Forget(const BackupClients& clients, StepContext& context) {
  const std::vector<Part> parts = PartsOf(context);
  std::vector<std::string> failures;
  for (const Part& part : parts) {
    if (context.Fact(part.Ended()).empty()) return Carry(clients, context, part);
    const std::string failure = context.Fact(part.Failure());
    if (!failure.empty()) failures.push_back(failure);
  }
  // The compensation takes what is gone from the catalogue.
  if (!failures.empty())
    return StepResult::Fail(absl::FailedPreconditionError(absl::StrJoin(failures, "; ")));
  for (const Part& part : parts) TakeFromCatalogue(clients, context, part);
  return StepResult::Done();
}

// What is removed stays removed.
StepResult TakeStock(const BackupClients& clients, StepContext& context) {
  for (const Part& part : PartsOf(context)) {
    bool gone = !context.Fact(part.Gone()).empty();
    if (context.Fact(part.Ended()).empty()) {
      const StepContext here = ContextFor(context, part);
      const auto action = CancelThere(here, *clients.tenants.agents, part.host);
      if (action.ok() && action->state() == v1::ACTION_STATE_RUNNING) {
        return StepResult::Wait(kRecheck, "waiting until the removal has ended");
      }
      // A host that is away would hold the tenant up for as long.
      gone = action.ok() && action->result().count(kRemoved) > 0;
      if (gone) AddUp(context, action->result());
    }
    if (gone) TakeFromCatalogue(clients, context, part);
  }
  return StepResult::Done();
}

}  // namespace

std::string PrunerFact(const v1::Backup& backup) {
  return absl::StrCat("pruner ", backup.repository(), "/", backup.host());
}

operations::Kind PruneKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "prune";
  kind.steps.push_back(
      {"forget", [clients](StepContext& context) { return Forget(clients, context); },
       [clients](StepContext& context) { return TakeStock(clients, context); }, true});
  return kind;
}

}  // namespace mtp
