#include "tests/simulation/work_kinds.h"

#include <absl/strings/str_cat.h>

namespace mtp::simulation {
namespace {

using operations::StepContext;
using operations::StepResult;

std::string IdOf(const StepContext& context) {
  return context.record().operation().name().substr(sizeof("operations/") - 1);
}

v1::EnsureActionRequest RequestFor(const StepContext& context, const std::string& key) {
  v1::EnsureActionRequest request;
  request.set_key(key);
  request.set_tenant(context.record().operation().target());
  request.set_epoch(1);
  request.mutable_restart();
  return request;
}

// A network's fault passes; what an agent says is final.
StepResult FromStatus(const absl::Status& status) {
  if (absl::IsUnavailable(status) || absl::IsAborted(status)) return StepResult::Retry(status);
  return StepResult::Fail(status);
}

StepResult FromAction(const absl::StatusOr<v1::Action>& action, absl::Duration recheck) {
  if (!action.ok()) return FromStatus(action.status());
  switch (action->state()) {
    case v1::ACTION_STATE_RUNNING:
      return StepResult::Wait(recheck, action->message());
    case v1::ACTION_STATE_DONE:
      return StepResult::Done();
    default:
      return StepResult::Fail(absl::InternalError(action->error().message()));
  }
}

class WorkStep {
 public:
  WorkStep(StepPlan plan, StepWorld world) : plan_(std::move(plan)), world_(std::move(world)) {}

  StepResult Run(StepContext& context) const {
    if (world_.random->Chance(world_.faults->retrying_step)) {
      return StepResult::Retry(absl::UnavailableError("a fault that passes"));
    }
    if (world_.random->Chance(world_.faults->failing_step)) {
      return StepResult::Fail(absl::InternalError("a fault for good"));
    }
    CheckFacts(context);
    context.SetFact(plan_.name, absl::StrCat("fact of ", IdOf(context), "/", plan_.name));
    switch (plan_.nature) {
      case StepPlan::Nature::kAction: {
        const std::string key = world_.plant == Plant::kKeyShared ? plan_.name : context.key();
        return FromAction(world_.agents->EnsureAction(Host(context), RequestFor(context, key)),
                          absl::Seconds(30));
      }
      case StepPlan::Nature::kCounter:
        AddToCounter(context, 1);
        return StepResult::Done();
      case StepPlan::Nature::kFacts:
        return StepResult::Done("handed on");
    }
    return StepResult::Done();
  }

  StepResult Undo(StepContext& context) const {
    switch (plan_.nature) {
      case StepPlan::Nature::kAction: {
        const std::string forward = absl::StrCat(IdOf(context), "/", plan_.name);
        const auto cancelled = world_.agents->CancelAction(Host(context), forward);
        if (!cancelled.ok() && !absl::IsNotFound(cancelled.status())) {
          return StepResult::Retry(cancelled.status());
        }
        if (cancelled.ok() && cancelled->state() == v1::ACTION_STATE_RUNNING) {
          return StepResult::Wait(absl::Seconds(30));
        }
        return FromAction(
            world_.agents->EnsureAction(Host(context), RequestFor(context, context.key())),
            absl::Seconds(30));
      }
      case StepPlan::Nature::kCounter:
        // Undone only when it was done: the step's facts came with its end.
        if (!context.Fact(plan_.name).empty()) AddToCounter(context, -1);
        return StepResult::Done();
      case StepPlan::Nature::kFacts:
        return StepResult::Done();
    }
    return StepResult::Done();
  }

 private:
  static std::string Host(const StepContext& context) {
    return context.record().operation().host();
  }

  void CheckFacts(const StepContext& context) const {
    if (!world_.alive()) return;
    for (int i = 0; i < context.record().step(); ++i) {
      const std::string& name = context.record().operation().steps(i).name();
      if (context.Fact(name) != absl::StrCat("fact of ", IdOf(context), "/", name)) {
        world_.judge->Violation(absl::StrCat(context.key(), " lacks the fact of ", name));
      }
    }
  }

  void AddToCounter(StepContext& context, int64_t change) const {
    const std::string key = "/counters/all";
    const auto entry = world_.store->Get(key);
    const int64_t before = entry.ok() ? std::stoll(entry->value) : 0;
    context.txn().RequireRevision(key, entry.ok() ? entry->mod_revision : 0);
    context.txn().Put(key, absl::StrCat(before + change));
  }

  const StepPlan plan_;
  const StepWorld world_;
};

}  // namespace

std::vector<KindPlan> DrawKinds(testing::SeededRandom& random) {
  std::vector<KindPlan> kinds(1 + random.Below(4));
  for (size_t i = 0; i < kinds.size(); ++i) {
    kinds[i].name = absl::StrCat("kind-", i);
    kinds[i].steps.resize(1 + random.Below(6));
    const uint64_t point_of_no_return = random.Below(2 * kinds[i].steps.size());
    for (size_t j = 0; j < kinds[i].steps.size(); ++j) {
      StepPlan& step = kinds[i].steps[j];
      step.name = absl::StrCat("step-", j);
      const uint64_t nature = random.Below(4);
      step.nature = nature < 2   ? StepPlan::Nature::kAction
                    : nature < 3 ? StepPlan::Nature::kCounter
                                 : StepPlan::Nature::kFacts;
      step.has_undo = step.nature == StepPlan::Nature::kCounter || random.Chance(800);
      step.cancellable = j <= point_of_no_return;
    }
  }
  return kinds;
}

operations::Kind MakeKind(const KindPlan& plan, const StepWorld& world) {
  operations::Kind kind;
  kind.name = plan.name;
  bool skipped = false;
  for (const StepPlan& step_plan : plan.steps) {
    const auto work = std::make_shared<WorkStep>(step_plan, world);
    operations::Step step;
    step.name = step_plan.name;
    step.cancellable = step_plan.cancellable;
    step.run = [work](StepContext& context) { return work->Run(context); };
    const bool skip = world.plant == Plant::kUndoSkipped && step_plan.has_undo && !skipped;
    skipped |= skip;
    if (step_plan.has_undo && !skip) {
      step.compensate = [work](StepContext& context) { return work->Undo(context); };
    }
    kind.steps.push_back(std::move(step));
  }
  kind.on_end = [](const state::v1::OperationRecord& record, kv::Txn& txn) {
    const std::string id = record.operation().name().substr(sizeof("operations/") - 1);
    // Fails the whole transaction when the operation has ended before.
    txn.RequireAbsent(absl::StrCat("/ended/", id));
    txn.Put(absl::StrCat("/ended/", id), absl::StrCat(record.operation().state()));
  };
  return kind;
}

}  // namespace mtp::simulation
