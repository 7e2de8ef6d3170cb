#include "controller/daemon/work_parts.h"

#include <absl/functional/bind_front.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "common/base/failpoint.h"
#include "common/base/status.h"
#include "common/base/ulid.h"
#include "controller/failover/evict_kind.h"
#include "controller/rollouts/all_kinds.h"
#include "controller/tenants/abandoned_action.h"

namespace mtp {

WorkParts::WorkParts(Foundation* on, Edges hearers)
    : base(*on),
      edges(std::move(hearers)),
      engine(base.store.get(), &base.clock, &base.random, &base.step_pool, EngineOptions()),
      sessions(base.store.get(), &base.observations, &base.clock, &base.step_pool,
               NewUlid(base.clock, base.random), SessionCallbacks(), AgentSessions::Options()),
      repositories(base.store.get(), &*base.box, &base.clock, &base.random),
      updates(base.store.get(), &engine, &repositories, &base.observations, &base.clock,
              &base.random),
      tenants(base.store.get(), &engine, &base.observations, &*base.box, &base.clock, &base.random,
              TenantOptions()),
      backups(base.store.get(), &engine, &tenants, &repositories, &base.observations, &*base.box,
              &base.clock),
      policies(base.store.get(), &repositories, &base.clock),
      rollouts(base.store.get(), &engine, &repositories, &base.clock, &base.random) {
  RegisterKinds();
}

operations::Engine::Options WorkParts::EngineOptions() {
  operations::Engine::Options options;
  options.failpoint = FailpointFromEnvironment();
  options.on_persist_failure = [this](const std::string& id, const absl::Status& status) {
    base.log.Error(absl::StrCat("operation ", id, " could not be persisted, will try again: ",
                                std::string(status.message())));
  };
  options.on_drop = [this](const std::string& id) {
    base.log.Error(absl::StrCat("operation ", id,
                                " is dropped: its record is gone from the state (was a backup put "
                                "back?); look at what it was about with mtp-cli status"));
  };
  return options;
}

AgentSessions::Callbacks WorkParts::SessionCallbacks() {
  AgentSessions::Callbacks callbacks;
  callbacks.connect = absl::bind_front(&AgentChannels::To, &*base.channels);
  callbacks.on_action = [this](const std::string& host, const v1::Action& action) {
    const std::string operation = action.key().substr(0, action.key().find('/'));
    engine.Wake(operation);
    CancelIfAbandoned(operation, host, action);
  };
  callbacks.on_connected = [this](const std::string& host) {
    base.log.Info(absl::StrCat("host ", host, " is connected"));
    WakeHost(host);
    edges.on_connected();
  };
  callbacks.on_stamp = edges.on_stamp;
  return callbacks;
}

Tenants::Options WorkParts::TenantOptions() {
  const ControllerSettings& settings = base.settings;
  Tenants::Options options;
  options.default_image = settings.default_image;
  options.default_reservation_mib = settings.default_reservation_mib;
  options.min_memory_limit_mib = settings.min_memory_limit_mib;
  options.environment_names = settings.tenant_environment;
  options.policy =
      settings.policy == "spread" ? scheduler::Policy::kSpread : scheduler::Policy::kBinpack;
  options.removal_repository = [this](const std::string& tenant) {
    return repositories.OfTenant(tenant);
  };
  return options;
}

void WorkParts::RegisterKinds() {
  const BackupClients clients{
      {base.store.get(), &sessions, &*base.box}, &base.clock, base.settings.fleet};
  const RolloutClients rollout_clients{base.store.get(),
                                       &sessions,
                                       &engine,
                                       &base.observations,
                                       absl::bind_front(&Updates::Begin, &updates),
                                       base.settings.default_image};
  for (operations::Kind& kind : AllKinds(clients, rollout_clients)) {
    engine.Register(std::move(kind));
  }
  engine.Register(failover::EvictKind(clients.tenants));
}

absl::Status WorkParts::StartOperations() {
  MTP_ASSIGN_OR_RETURN(rollout_waker, WakeRollouts(base.store.get(), &engine));
  const absl::Status started = engine.Start();
  // Some were begun by another version: they are left untouched, all others go on.
  if (!absl::IsFailedPrecondition(started)) return started;
  base.log.Error(started.message());
  return absl::OkStatus();
}

absl::Status WorkParts::StartSchedule() {
  Schedule::Options options;
  options.start_drill = Schedule::DrillThrough(&backups);
  options.on_failure = [this](const std::string& what, const absl::Status& status) {
    base.log.Error(absl::StrCat(
        "schedule: ", what, " cannot be begun, will try again: ", std::string(status.message())));
  };
  schedule = std::make_shared<Schedule>(base.store.get(), &backups, &base.observations, &base.clock,
                                        &base.step_pool, std::move(options));
  return schedule->Start();
}

void WorkParts::Stop() {
  if (schedule) schedule->Stop();
  engine.Stop();
}

// Where the cancellation does not arrive, the host tells of the action again when it is back.
void WorkParts::CancelIfAbandoned(const std::string& operation, const std::string& host,
                                  const v1::Action& action) {
  if (action.state() != v1::ACTION_STATE_RUNNING) return;
  const auto known = engine.Get(operation);
  if (!known.ok() || !IsAbandoned(*known, action.key())) return;
  base.step_pool.Post(
      [this, host, key = action.key()] { (void)sessions.CancelAction(host, key).status(); });
}

// Operations of that host may wait for something that happened while nobody listened. One without a
// host of its own (the check of a repository, a rollout) may wait for any.
void WorkParts::WakeHost(const std::string& host) {
  for (const auto& lock : base.store->List("/locks/")) {
    state::v1::LockRecord record;
    if (!record.ParseFromString(lock.value)) continue;
    auto operation = engine.Get(record.operation());
    if (!operation.ok()) continue;
    if (operation->host().empty() || operation->host() == host) engine.Wake(record.operation());
  }
}

}  // namespace mtp
