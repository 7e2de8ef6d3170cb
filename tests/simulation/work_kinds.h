// Operation kinds made up by a seed: one to six steps, each of one of a few natures, with or
// without a compensation. They use everything that the engine offers, and tell the judge what they
// see.
#pragma once

#include <string>
#include <vector>

#include "controller/hosts/agent_client.h"
#include "controller/operations/engine.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/plants.h"

namespace mtp::simulation {

struct StepPlan {
  enum class Nature {
    kAction,   // an action on an agent, attached to until it ends
    kCounter,  // adds one to a counter in the store, in the step's own transaction
    kFacts,    // hands a fact on, and checks those of earlier steps
  };
  std::string name;
  Nature nature = Nature::kAction;
  bool has_undo = true;
  bool cancellable = true;
};

struct KindPlan {
  std::string name;
  std::vector<StepPlan> steps;
};

std::vector<KindPlan> DrawKinds(testing::SeededRandom& random);

// What the steps of one controller process reach.
struct StepWorld {
  const kv::Store* store = nullptr;  // for reading
  kv::Store* state = nullptr;        // the same, for what a kind changes by itself
  operations::Engine* engine = nullptr;
  Executor* executor = nullptr;      // runs nothing of a dead process
  AgentDirectory* agents = nullptr;  // refuses a dead process
  std::function<bool()> alive;
  testing::SeededRandom* random = nullptr;
  const FaultPlan* faults = nullptr;
  Plant plant = Plant::kNone;
  Judge* judge = nullptr;
};

operations::Kind MakeKind(const KindPlan& plan, const StepWorld& world);

}  // namespace mtp::simulation
