// The real operation kinds of tenants, the real placement and the real claims, over several hosts
// whose agents and engines are simulated.
#pragma once

#include <set>

#include "common/base/secret_box.h"
#include "controller/state/observations.h"
#include "controller/tenants/tenants.h"
#include "tests/simulation/fleet_judge.h"
#include "tests/simulation/scenario.h"

namespace mtp::simulation {

class FleetScenario final : public Scenario {
 public:
  FleetScenario(uint64_t seed, Plant plant, bool keep_trace);

 private:
  std::vector<operations::Kind> MakeKinds(const StepWorld& steps) override;
  void AddRepository();
  Wish NewWish() override;
  void OnBoot() override;
  void Conclude() override;

  Wish ProvisionWish(const std::string& tenant);
  void Observe(const std::string& host, bool reachable);
  static bool IsRefusal(const absl::Status& status);

  const SecretBox box_ = SecretBox::ForTest();
  std::map<std::string, int64_t> allocatable_mib_;
  FleetJudge fleet_judge_;
  // Of one life of the controller.
  std::unique_ptr<Observations> observations_;
  std::unique_ptr<Tenants> tenants_;
};

}  // namespace mtp::simulation
