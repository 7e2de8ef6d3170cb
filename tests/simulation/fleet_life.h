// What one life of the controller is made of, beside its engine and its store: the real services
// and the real operation kinds, as the daemon puts them together.
#pragma once

#include <memory>
#include <vector>

#include "common/base/secret_box.h"
#include "controller/backups/backups.h"
#include "controller/backups/schedule.h"
#include "controller/backups/updates.h"
#include "controller/failover/failovers.h"
#include "controller/failover/keeper.h"
#include "controller/failover/lease_book.h"
#include "controller/rollouts/rollouts.h"
#include "controller/state/observations.h"
#include "controller/tenants/tenants.h"
#include "tests/simulation/work_kinds.h"

namespace mtp::simulation {

class FleetLife {
 public:
  struct Options {
    const Clock* clock = nullptr;
    Random* random = nullptr;
    const SecretBox* box = nullptr;
    scheduler::Policy policy = scheduler::Policy::kBinpack;
  };

  // Before the engine starts. What `steps` and `options` point to outlives this.
  FleetLife(const StepWorld& steps, const Options& options);
  ~FleetLife();

  std::vector<operations::Kind> Kinds() const;
  // Once the engine has started. False when the store refused.
  bool StartSchedule();
  // Leases and failover; not started.
  void MakeFailover(const failover::LeaseBook::Options& options, failover::Keeper::Send send);
  void StopSchedule();

  Observations& observations() { return observations_; }
  Tenants& tenants() { return *tenants_; }
  Backups& backups() { return *backups_; }
  Updates& updates() { return *updates_; }
  Rollouts& rollouts() { return *rollouts_; }
  failover::LeaseBook& book() { return *book_; }
  failover::Failovers& failovers() { return *failovers_; }
  failover::Keeper& keeper() { return *keeper_; }
  operations::Engine& engine() { return *steps_.engine; }

 private:
  // What the rollout's steps begin updates through.
  absl::StatusOr<v1::Operation> BeginUpdate(const std::string& caller,
                                            const std::string& request_id,
                                            const std::string& tenant,
                                            const v1::RolloutSettings& settings,
                                            const std::string& pinned_image) const;

  const StepWorld steps_;
  const Options options_;
  Observations observations_;
  std::unique_ptr<Repositories> repositories_;
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<Backups> backups_;
  std::unique_ptr<Updates> updates_;
  std::unique_ptr<Rollouts> rollouts_;
  std::unique_ptr<kv::Watch> rollout_waker_;
  std::shared_ptr<Schedule> schedule_;
  std::unique_ptr<failover::LeaseBook> book_;
  std::unique_ptr<failover::Failovers> failovers_;
  std::shared_ptr<failover::Keeper> keeper_;
};

}  // namespace mtp::simulation
