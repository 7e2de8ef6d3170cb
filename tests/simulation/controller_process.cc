#include "tests/simulation/controller_process.h"

namespace mtp::simulation {

using testing::CommitFault;

ControllerProcess::ControllerProcess(const ProcessWorld& world, const MakeKinds& make_kinds,
                                     std::function<void()> on_death)
    : world_(world), store_(world.disk), executor_(world.executor, alive_), agents_(world, alive_) {
  store_.choose_fault = [this](const kv::Txn&) { return ChooseFault(); };
  store_.tamper = [this](kv::Txn& txn) { TamperWith(world_.plant, txn); };
  store_.on_crash = [this, on_death = std::move(on_death)] {
    *alive_ = false;
    world_.trace->Add("controller dies");
    world_.judge->OnDisturbance();
    on_death();
  };
  operations::Engine::Options options;
  options.failpoint = [this](const std::string&, const std::string&) {
    if (*alive_ && world_.random->Chance(world_.faults->crash_at_point)) store_.Crash();
  };
  options.on_persist_failure = [this](const std::string& id, const absl::Status&) {
    world_.trace->Add("persist failed ", id);
  };
  engine_ = std::make_unique<operations::Engine>(&store_, world_.clock, world_.random, &executor_,
                                                 std::move(options));
  StepWorld steps;
  steps.store = &store_;
  steps.state = &store_;
  steps.engine = engine_.get();
  steps.executor = &executor_;
  steps.agents = &agents_;
  steps.alive = [alive = alive_] { return *alive; };
  steps.random = world_.random;
  steps.faults = world_.faults;
  steps.plant = world_.plant;
  steps.judge = world_.judge;
  for (operations::Kind& kind : make_kinds(steps)) {
    ShowToJudge(kind);
    engine_->Register(std::move(kind));
  }
  world_.trace->Add("controller begins");
  world_.judge->OnDisturbance();
  const absl::Status status = engine_->Start();
  if (!status.ok()) world_.judge->Violation(std::string(status.message()));
}

void ControllerProcess::ShowToJudge(operations::Kind& kind) const {
  for (operations::Step& step : kind.steps) {
    const auto watched = [judge = world_.judge, alive = alive_, name = step.name](auto act,
                                                                                  bool undo) {
      return [=](operations::StepContext& context) {
        if (*alive) judge->OnStepRun(context, name, undo);
        return act(context);
      };
    };
    step.run = watched(step.run, false);
    if (step.compensate) step.compensate = watched(step.compensate, true);
  }
}

CommitFault ControllerProcess::ChooseFault() {
  const FaultPlan& faults = *world_.faults;
  CommitFault fault = CommitFault::kNone;
  if (world_.random->Chance(faults.disk_full)) fault = CommitFault::kDiskFull;
  if (world_.random->Chance(faults.disk_error)) fault = CommitFault::kDiskError;
  if (world_.random->Chance(faults.crash_before_commit)) fault = CommitFault::kCrashBefore;
  if (world_.random->Chance(faults.crash_after_commit)) fault = CommitFault::kCrashAfter;
  if (fault != CommitFault::kNone) world_.judge->OnDisturbance();
  return fault;
}

}  // namespace mtp::simulation
