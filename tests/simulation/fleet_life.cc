#include "tests/simulation/fleet_life.h"

#include "controller/backups/kinds.h"
#include "controller/rollouts/all_kinds.h"

namespace mtp::simulation {

FleetLife::FleetLife(const StepWorld& steps, const Options& options)
    : steps_(steps), options_(options) {
  kv::Store* const store = steps_.state;
  operations::Engine* const engine = steps_.engine;
  repositories_ =
      std::make_unique<Repositories>(store, options_.box, options_.clock, options_.random);
  Tenants::Options tenants;
  tenants.default_reservation_mib = 512;
  tenants.policy = options_.policy;
  tenants.removal_repository = [this](const std::string& tenant) {
    return repositories_->OfTenant(tenant);
  };
  tenants_ = std::make_unique<Tenants>(store, engine, &observations_, options_.box, options_.clock,
                                       options_.random, std::move(tenants));
  backups_ = std::make_unique<Backups>(store, engine, tenants_.get(), repositories_.get(),
                                       &observations_, options_.box, options_.clock);
  updates_ = std::make_unique<Updates>(store, engine, repositories_.get(), &observations_,
                                       options_.clock, options_.random);
  rollouts_ = std::make_unique<Rollouts>(store, engine, repositories_.get(), options_.clock,
                                         options_.random);
  auto waker = WakeRollouts(store, engine);
  if (waker.ok()) rollout_waker_ = *std::move(waker);
}

FleetLife::~FleetLife() {
  StopSchedule();
  if (keeper_ != nullptr) keeper_->Stop();
}

std::vector<operations::Kind> FleetLife::Kinds() const {
  const TenantClients tenants{steps_.store, steps_.agents, options_.box};
  const BackupClients backups{tenants, options_.clock, "f"};
  std::vector<operations::Kind> kinds =
      AllKinds(backups, {steps_.state, steps_.agents, steps_.engine, &observations_,
                         [this](auto&&... arguments) { return BeginUpdate(arguments...); },
                         Tenants::Options().default_image});
  for (operations::Kind& kind : kinds) {
    if (steps_.plant == Plant::kMakesNoWay && kind.name == "update") kind = UpdateKind(backups);
  }
  return kinds;
}

absl::StatusOr<v1::Operation> FleetLife::BeginUpdate(const std::string& caller,
                                                     const std::string& request_id,
                                                     const std::string& tenant,
                                                     const v1::RolloutSettings& settings,
                                                     const std::string& pinned_image) const {
  if (steps_.plant == Plant::kStopsUnreached) {
    const auto rows = Tables(steps_.store).tenants.List();
    for (const auto& row : *rows) {
      v1::StopTenantRequest request;
      request.set_name(absl::StrCat("tenants/", row.id));
      if (row.id != tenant) (void)tenants_->Stop(caller, request).status();
    }
  }
  return updates_->Begin(caller, request_id, tenant, settings, pinned_image);
}

bool FleetLife::StartSchedule() {
  Schedule::Options options;
  options.start_drill = Schedule::DrillThrough(backups_.get());
  schedule_ = std::make_shared<Schedule>(steps_.state, backups_.get(), &observations_,
                                         options_.clock, steps_.executor, std::move(options));
  return schedule_->Start().ok();
}

void FleetLife::MakeFailover(const failover::LeaseBook::Options& options,
                             failover::Keeper::Send send) {
  book_ = std::make_unique<failover::LeaseBook>(steps_.state, options_.clock, options);
  failovers_ = std::make_unique<failover::Failovers>(steps_.state, steps_.engine, tenants_.get(),
                                                     &observations_, book_.get());
  keeper_ = std::make_shared<failover::Keeper>(
      steps_.state, steps_.engine, failovers_.get(), book_.get(), &observations_, options_.clock,
      steps_.executor, std::move(send), NullLog(), failover::Keeper::Options());
}

void FleetLife::StopSchedule() {
  if (schedule_ != nullptr) schedule_->Stop();
}

}  // namespace mtp::simulation
