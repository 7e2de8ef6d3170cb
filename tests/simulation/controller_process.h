// One life of the controller: an engine over the store, until it dies.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "controller/operations/engine.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/plants.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/work_kinds.h"
#include "tests/support/faulty_store.h"

namespace mtp::simulation {

// What a process runs in; outlives it.
struct ProcessWorld {
  testing::SimClock* clock = nullptr;
  testing::SimExecutor* executor = nullptr;
  testing::SeededRandom* random = nullptr;
  const FaultPlan* faults = nullptr;
  Plant plant = Plant::kNone;
  kv::Store* disk = nullptr;
  AgentDirectory* agents = nullptr;
  Judge* judge = nullptr;
  Trace* trace = nullptr;
};

class ControllerProcess {
 public:
  // Makes the operation kinds over what a living process reaches.
  using MakeKinds = std::function<std::vector<operations::Kind>(const StepWorld&)>;

  // `on_death` is called once, from inside of what the process was doing: destroy it only later.
  ControllerProcess(const ProcessWorld& world, const MakeKinds& make_kinds,
                    std::function<void()> on_death);

  operations::Engine& engine() { return *engine_; }
  kv::Store* store() { return &store_; }
  bool alive() const { return !store_.crashed(); }
  // From outside: kill -9.
  void Kill() { store_.Crash(); }

 private:
  // Runs no task of a process that is dead.
  class LivingExecutor final : public Executor {
   public:
    LivingExecutor(Executor* executor, std::shared_ptr<bool> alive)
        : executor_(executor), alive_(std::move(alive)) {}
    void Post(std::function<void()> task) override { executor_->Post(Guard(std::move(task))); }
    void PostAfter(absl::Duration delay, std::function<void()> task) override {
      executor_->PostAfter(delay, Guard(std::move(task)));
    }

   private:
    std::function<void()> Guard(std::function<void()> task) {
      return [alive = alive_, task = std::move(task)] {
        if (*alive) task();
      };
    }
    Executor* const executor_;
    const std::shared_ptr<bool> alive_;
  };
  // Reaches no agent from a process that is dead.
  class LivingAgents final : public AgentDirectory {
   public:
    LivingAgents(const ProcessWorld& world, std::shared_ptr<bool> alive)
        : agents_(world.agents),
          judge_(world.judge),
          alive_(std::move(alive)),
          plant_(world.plant) {}
    absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                            const v1::EnsureActionRequest& request) override {
      if (!*alive_) return absl::UnavailableError("the process is dead");
      judge_->OnRequest(request.key());
      if (plant_ == Plant::kNone) return agents_->EnsureAction(host, request);
      v1::EnsureActionRequest tampered = request;
      TamperWithRequest(plant_, tampered);
      return agents_->EnsureAction(host, tampered);
    }
    absl::StatusOr<v1::Action> CancelAction(const std::string& host,
                                            const std::string& key) override {
      if (!*alive_) return absl::UnavailableError("the process is dead");
      return agents_->CancelAction(host, key);
    }

   private:
    AgentDirectory* const agents_;
    Judge* const judge_;
    const std::shared_ptr<bool> alive_;
    const Plant plant_;
  };

  testing::CommitFault ChooseFault();
  // The judge sees each step before it acts.
  void ShowToJudge(operations::Kind& kind) const;

  const ProcessWorld world_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  testing::FaultyStore store_;
  LivingExecutor executor_;
  LivingAgents agents_;
  std::unique_ptr<operations::Engine> engine_;
};

}  // namespace mtp::simulation
