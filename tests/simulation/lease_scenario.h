// Partitions: hosts that are cut off alone, in twos and threes, flapping and for longer than their
// lease, under the real book of leases, the real decision, and the real operations that place
// tenants elsewhere and take old copies off.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/simulation/fleet_life.h"
#include "tests/simulation/lease_judge.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/sim_engines.h"
#include "tests/simulation/sim_leases.h"

namespace mtp::simulation {

class LeaseScenario final : public Scenario {
 public:
  explicit LeaseScenario(const SeedOptions& options);

 private:
  std::vector<operations::Kind> MakeKinds(const StepWorld& steps) override;
  Wish NewWish() override;
  void OnBoot() override;
  void OnBurial() override { life_.reset(); }
  // Until all that waits for hosts that are back has ended.
  absl::Duration Calm() const override { return absl::Minutes(15); }
  void Conclude() override;
  void CountSeen(std::map<std::string, int64_t>& seen) const override;

  SimLeases::World LeaseWorld();
  void AddHosts();
  void AddRepository();
  void Listen();
  void Observe(const std::string& host, bool reachable);
  void OnReachable(const std::string& host, bool reachable);
  absl::Status Refusal(const std::string& host, const v1::EnsureActionRequest& request) const;
  void OnEffect(const std::string& host, const v1::EnsureActionRequest& request,
                v1::ActionState state, v1::Action& action);
  bool NeedsLease(const std::string& host, const v1::EnsureActionRequest& request) const;
  void NoteLease(const std::string& host, const v1::EnsureActionRequest& request,
                 v1::ActionState state, v1::Action& action);
  void Partition();
  void CutOff(const std::string& host, absl::Duration duration);

  Wish ProvisionWish(const std::string& tenant);
  // The request names what is changed.
  Wish ChangeWish(const std::string& tenant, v1::UpdateTenantRequest request);
  Wish PolicyWish(const std::string& tenant);
  Wish BackupWish(const std::string& tenant);
  Wish RunWish(const std::string& tenant);
  Wish UpdateWish(const std::string& tenant);
  Wish ReconfigureWish(const std::string& tenant);
  Wish FailoverWish();
  // A tenant of a host that cannot be reached; any when there is none.
  std::string DrawLost();

  const SecretBox box_ = SecretBox::ForTest();
  SimEngines engines_;
  SimLeases leases_;
  LeaseJudge lease_judge_;
  int next_bot_ = 0;
  // Whether tenants are updated and reconfigured, too, when hosts are cut off.
  const bool changes_ = random_.Chance(500);
  // Of one life of the controller.
  std::unique_ptr<FleetLife> life_;
};

}  // namespace mtp::simulation
