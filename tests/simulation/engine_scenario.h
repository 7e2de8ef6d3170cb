// The operations engine under kinds of operations that the seed makes up.
#pragma once

#include "tests/simulation/scenario.h"
#include "tests/simulation/work_kinds.h"

namespace mtp::simulation {

class EngineScenario final : public Scenario {
 public:
  explicit EngineScenario(const SeedOptions& options)
      : Scenario(options), kinds_(DrawKinds(random_)), target_count_(1 + random_.Below(6)) {}

 private:
  std::vector<operations::Kind> MakeKinds(const StepWorld& steps) override;
  Wish NewWish() override;
  void OnWishAnswered() override;
  void Conclude() override { judge_.Conclude(kinds_, agents_); }

  const std::vector<KindPlan> kinds_;
  const uint64_t target_count_;
};

}  // namespace mtp::simulation
