#include "tests/simulation/lease_scenario.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/status.h"
#include "controller/backups/repositories.h"
#include "controller/failover/evict_kind.h"

namespace mtp::simulation {
namespace {

constexpr const char* kNames[] = {"acme", "beta", "gamma", "delta"};
constexpr char kCaller[] = "operator/alice";
constexpr int64_t kHostMib = 4096;
// Hosts that only the planted defect knows: so many that no few that vanish are a third.
constexpr int kPhantoms = 30;

bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status) ||
         absl::IsNotFound(status) || absl::IsResourceExhausted(status) ||
         absl::IsInvalidArgument(status);
}

bool Starts(const v1::EnsureActionRequest& request) {
  return request.has_apply() || request.has_start() || request.has_restart() ||
         (request.has_reconfigure() &&
          request.reconfigure().spec().run_policy() != v1::RUN_POLICY_STOP);
}

}  // namespace

LeaseScenario::LeaseScenario(const SeedOptions& options)
    : Scenario(options),
      engines_(&clock_, &random_, options.plant),
      leases_(LeaseWorld()),
      lease_judge_(disk_.get(), &judge_, &clock_, &agents_, &engines_, &leases_) {
  // Without any event nobody is granted anything, and nothing happens.
  faults_.lost_event = std::min<uint64_t>(faults_.lost_event, 256);
  faults_.lost_request = std::min<uint64_t>(faults_.lost_request, 256);
  if (changes_) faults_.failing_action = std::max<uint64_t>(faults_.failing_action, 128);
  AddHosts();
  AddRepository();
  Listen();
  for (const char* name : kNames) {
    const std::string tenant = name;
    Plan(Within(absl::Minutes(1)), [this, tenant] { Send(ProvisionWish(tenant)); });
    Plan(absl::Minutes(2) + Within(absl::Minutes(2)), [this, tenant] { Send(BackupWish(tenant)); });
  }
  for (uint64_t i = 0, times = 2 + random_.Below(6); i < times; ++i) {
    Plan(Within(absl::Minutes(15)), [this] { Partition(); });
  }
}

SimLeases::World LeaseScenario::LeaseWorld() {
  return {&clock_, &executor_, &random_, &faults_, plant_, &trace_, &agents_, &engines_};
}

void LeaseScenario::AddHosts() {
  for (uint64_t i = agents_.Hosts().size(), count = 2 + random_.Below(5); i < count; ++i) {
    agents_.AddHost(absl::StrCat("h", i));
  }
  const Tables tables(disk_.get());
  kv::Txn txn;
  for (const std::string& host : agents_.Hosts()) {
    leases_.AddHost(host);
    state::v1::HostRecord record;
    record.set_name(host);
    record.set_allocatable_mib(kHostMib);
    record.set_memory_total_mib(kHostMib + 1024);
    tables.hosts.Put(txn, host, record);
  }
  for (int i = 0; plant_ == Plant::kNoFreeze && i < kPhantoms; ++i) {
    state::v1::HostRecord phantom;
    phantom.set_name(absl::StrCat("phantom-", i));
    phantom.set_cordoned(true);
    tables.hosts.Put(txn, phantom.name(), phantom);
  }
  if (!disk_->Commit(txn).ok()) judge_.Violation("the hosts could not be written");
}

void LeaseScenario::AddRepository() {
  v1::AddRepositoryRequest request;
  request.set_repository_id("main");
  request.set_url("/srv/main");
  if (!Repositories(disk_.get(), &box_, &clock_, &random_).Add(request).ok()) {
    judge_.Violation("the repository could not be added");
  }
}

void LeaseScenario::Listen() {
  judge_.on_operation = [this](const std::string& id, const state::v1::OperationRecord* before,
                               const state::v1::OperationRecord& after) {
    lease_judge_.OnOperation(id, before, after);
  };
  agents_.refusal = [this](const std::string& host, const v1::EnsureActionRequest& request) {
    return Refusal(host, request);
  };
  agents_.postpone = [this](const std::string& host, const v1::EnsureActionRequest& request) {
    const bool waits =
        NeedsLease(host, request) && !leases_.MayStart(host, request.tenant(), request.epoch());
    return waits ? absl::Seconds(5) : absl::ZeroDuration();
  };
  agents_.on_effect = [this](const std::string& host, const v1::EnsureActionRequest& request,
                             v1::ActionState state,
                             v1::Action& action) { OnEffect(host, request, state, action); };
  agents_.on_reachable = [this](const std::string& host, bool reachable) {
    OnReachable(host, reachable);
  };
  leases_.on_change = [this](const std::string&, const std::string& tenant) {
    lease_judge_.CheckCopies(tenant);
  };
  leases_.Start([this](const std::string& host, const v1::LeaseStamp& stamp) {
    if (!ControllerLives()) return;
    lease_judge_.OnHeard(host);
    life_->keeper().OnStamp(host, stamp);
  });
}

void LeaseScenario::OnReachable(const std::string& host, bool reachable) {
  lease_judge_.OnReachable(host, reachable);
  // It may have been the agent that was away.
  if (!reachable && random_.Chance(300)) leases_.NewLife(host);
  if (!ControllerLives()) return;
  Observe(host, reachable);
  if (!reachable) return;
  for (const kv::Entry& entry : disk_->List("/operations/")) {
    controller_->engine().Wake(entry.key.substr(sizeof("/operations/") - 1));
  }
}

void LeaseScenario::Observe(const std::string& host, bool reachable) {
  life_->observations().Update(host, [&](HostObservation& seen) {
    seen.connected = reachable;
    seen.status.set_state(v1::HOST_STATE_READY);
    seen.status.set_guarded(true);
    seen.status.set_allocatable_mib(kHostMib);
    seen.status.set_memory_total_mib(kHostMib + 1024);
    seen.status.set_disk_free_mib(100'000);
  });
}

std::vector<operations::Kind> LeaseScenario::MakeKinds(const StepWorld& steps) {
  FleetLife::Options options;
  options.clock = &clock_;
  options.random = &random_;
  options.box = &box_;
  options.policy = scheduler::Policy::kSpread;
  life_ = std::make_unique<FleetLife>(steps, options);
  failover::LeaseBook::Options leases;
  if (plant_ == Plant::kMarginSkipped) leases.margin = -absl::Seconds(30);
  life_->MakeFailover(leases, [this](const std::string& host, const v1::GrantLeaseRequest& grant) {
    v1::GrantLeaseRequest sent = grant;
    for (const char* name : kNames) {
      if (plant_ != Plant::kGrantNamesAll) break;
      v1::LeasedTenant& tenant = *sent.add_tenants();
      tenant.set_tenant(name);
      tenant.set_epoch(1'000'000);
    }
    leases_.Send(host, sent);
  });
  for (const std::string& host : agents_.Hosts()) Observe(host, agents_.IsReachable(host));
  for (int i = 0; plant_ == Plant::kNoFreeze && i < kPhantoms; ++i) {
    Observe(absl::StrCat("phantom-", i), true);
  }
  std::vector<operations::Kind> kinds = life_->Kinds();
  kinds.push_back(failover::EvictKind({steps.store, steps.agents, &box_}));
  return kinds;
}

void LeaseScenario::OnBoot() {
  if (ControllerLives()) life_->keeper().Start();
}

bool LeaseScenario::NeedsLease(const std::string& host,
                               const v1::EnsureActionRequest& request) const {
  if (request.has_set_failover()) {
    return request.set_failover().policy() == v1::FAILOVER_POLICY_FAILOVER;
  }
  if (request.has_apply()) {
    return request.apply().spec().failover_policy() == v1::FAILOVER_POLICY_FAILOVER;
  }
  return Starts(request) && leases_.IsLeased(host, request.tenant());
}

absl::Status LeaseScenario::Refusal(const std::string& host,
                                    const v1::EnsureActionRequest& request) const {
  if (NeedsLease(host, request) && !leases_.MayStart(host, request.tenant(), request.epoch())) {
    return absl::UnavailableError("there is no lease that names it");
  }
  return engines_.Refusal(host, request);
}

void LeaseScenario::OnEffect(const std::string& host, const v1::EnsureActionRequest& request,
                             v1::ActionState state, v1::Action& action) {
  const bool acts = state == v1::ACTION_STATE_RUNNING || state == v1::ACTION_STATE_DONE;
  if (acts && NeedsLease(host, request) &&
      !leases_.MayStart(host, request.tenant(), request.epoch())) {
    return;
  }
  if (acts) NoteLease(host, request, state, action);
  engines_.Affect(host, request, state, action);
  if (!request.tenant().empty()) lease_judge_.CheckCopies(request.tenant());
}

void LeaseScenario::NoteLease(const std::string& host, const v1::EnsureActionRequest& request,
                              v1::ActionState state, v1::Action& action) {
  const std::string& tenant = request.tenant();
  const bool done = state == v1::ACTION_STATE_DONE;
  if (request.has_apply() || request.has_set_failover()) {
    const bool leased = NeedsLease(host, request);
    leases_.SetLeased(host, tenant, leased, request.epoch());
    if (leased && done) (*action.mutable_result())["lease"] = "bound";
  } else if (request.has_remove() && done) {
    leases_.Forget(host, tenant);
  }
  // What an action does with the container is nothing that a lease takes back.
  if (Starts(request) || request.has_stop() || request.has_remove() || request.has_restore()) {
    leases_.OnStopped(host, tenant);
  }
}

// Some hosts at once, or one shortly after another.
void LeaseScenario::Partition() {
  if (quiet_) return;
  const absl::Duration stagger = random_.Chance(500) ? absl::ZeroDuration() : absl::Seconds(90);
  const absl::Duration most = random_.Chance(300) ? absl::Seconds(30) : absl::Minutes(9);
  const uint64_t share = 1 + random_.Below(4);
  if (random_.Chance(500)) {
    executor_.PostAfter(absl::Seconds(20) + Within(absl::Minutes(3)), [this] {
      if (!quiet_) Send(FailoverWish());
    });
  }
  for (const std::string& host : agents_.Hosts()) {
    if (random_.Below(4) >= share) continue;
    const absl::Duration duration = absl::Seconds(1) + Within(most);
    executor_.PostAfter(stagger == absl::ZeroDuration() ? stagger : Within(stagger),
                        [this, host, duration] { CutOff(host, duration); });
    if (random_.Chance(400)) return;  // this one alone
  }
}

// Often in the middle of what makes way for the failover of its tenant.
void LeaseScenario::CutOff(const std::string& host, absl::Duration duration) {
  if (quiet_) return;
  const auto cut = [this, host, duration] {
    if (!quiet_) agents_.Cut(host, duration);
  };
  if (!changes_) return cut();
  const auto rows = Tables(disk_.get()).tenants.List();
  for (const auto& row : *rows) {
    if (row.value.host() != host || random_.Chance(200)) continue;
    Send(random_.Chance(700) ? UpdateWish(row.id) : ReconfigureWish(row.id));
  }
  executor_.PostAfter(Within(absl::Minutes(1)), cut);
}

Scenario::Wish LeaseScenario::NewWish() {
  const std::string tenant = kNames[random_.Below(std::size(kNames))];
  switch (random_.Below(changes_ ? 10 : 8)) {
    case 0:
    case 1:
      return ProvisionWish(tenant);
    case 2:
    case 3:
      return BackupWish(tenant);
    case 4:
      return RunWish(tenant);
    case 5:
      return FailoverWish();
    case 8:
      return UpdateWish(tenant);
    case 9:
      return ReconfigureWish(tenant);
    default:
      return PolicyWish(tenant);
  }
}

Scenario::Wish LeaseScenario::ProvisionWish(const std::string& tenant) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(tenant);
  request.set_request_id(NextRequestId());
  request.mutable_secrets()->set_telegram_token(absl::StrCat(1000 + next_bot_++, ":secret"));
  request.mutable_spec()->set_failover_policy(random_.Chance(300) ? v1::FAILOVER_POLICY_STAY
                                                                  : v1::FAILOVER_POLICY_FAILOVER);
  return {request.request_id(),
          [this, request]() -> absl::StatusOr<v1::Operation> {
            MTP_ASSIGN_OR_RETURN(const auto response, life_->tenants().Provision(kCaller, request));
            return response.operation();
          },
          IsRefusal};
}

Scenario::Wish LeaseScenario::ChangeWish(const std::string& tenant,
                                         v1::UpdateTenantRequest request) {
  request.set_name("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  return {request.request_id(),
          [this, request] { return life_->tenants().Update(kCaller, request); }, IsRefusal};
}

Scenario::Wish LeaseScenario::PolicyWish(const std::string& tenant) {
  v1::UpdateTenantRequest request;
  request.mutable_update_mask()->add_paths("failover_policy");
  request.mutable_spec()->set_failover_policy(random_.Chance(300) ? v1::FAILOVER_POLICY_STAY
                                                                  : v1::FAILOVER_POLICY_FAILOVER);
  return ChangeWish(tenant, std::move(request));
}

Scenario::Wish LeaseScenario::BackupWish(const std::string& tenant) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  return {request.request_id(),
          [this, request] { return life_->backups().Create(kCaller, request); }, IsRefusal};
}

Scenario::Wish LeaseScenario::RunWish(const std::string& tenant) {
  v1::RestartTenantRequest request;
  request.set_name("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  return {request.request_id(),
          [this, request] { return life_->tenants().Restart(kCaller, request); }, IsRefusal};
}

Scenario::Wish LeaseScenario::UpdateWish(const std::string& tenant) {
  const std::string id = NextRequestId();
  v1::RolloutSettings settings;
  settings.set_no_rehearsal(random_.Chance(500));
  settings.mutable_soak()->set_seconds(1 + static_cast<int64_t>(random_.Below(600)));
  const std::string image = PinnedImage(1 + static_cast<int>(random_.Below(kImages)));
  return {id,
          [this, id, tenant, settings, image] {
            return life_->updates().Begin(kCaller, id, tenant, settings, image);
          },
          IsRefusal};
}

Scenario::Wish LeaseScenario::ReconfigureWish(const std::string& tenant) {
  v1::UpdateTenantRequest request;
  request.mutable_update_mask()->add_paths("secrets.telegram_token");
  request.mutable_secrets()->set_telegram_token(
      absl::StrCat(1000 + next_bot_++, random_.Chance(300) ? kBadSecret : ":secret"));
  return ChangeWish(tenant, std::move(request));
}

std::string LeaseScenario::DrawLost() {
  std::vector<std::string> lost;
  const auto rows = Tables(disk_.get()).tenants.List();
  for (const auto& row : *rows) {
    if (!agents_.IsReachable(row.value.host())) lost.push_back(row.id);
  }
  return lost.empty() ? kNames[random_.Below(std::size(kNames))] : lost[random_.Below(lost.size())];
}

// `ask` draws its tenant when the caller first asks; it stays the same.
Scenario::Wish LeaseScenario::FailoverWish() {
  const auto request = std::make_shared<v1::FailOverTenantRequest>();
  request->set_request_id(NextRequestId());
  request->set_accept_two_copies(random_.Chance(700));
  return {request->request_id(),
          [this, request] {
            if (request->name().empty()) request->set_name("tenants/" + DrawLost());
            v1::FailOverTenantRequest preview = *request;
            preview.set_validate_only(true);
            preview.clear_request_id();
            const auto plan = life_->failovers().FailOver(kCaller, preview);
            const bool risky = plan.ok() && plan->result().count("risk") > 0;
            if (risky && request->accept_two_copies()) {
              const std::string tenant = request->name().substr(sizeof("tenants/") - 1);
              const auto row = Tables(disk_.get()).tenants.Get(tenant);
              if (row.ok()) lease_judge_.Excuse(tenant, row->value.host());
            }
            return life_->failovers().FailOver(kCaller, *request);
          },
          IsRefusal};
}

void LeaseScenario::Conclude() {
  judge_.Conclude({}, agents_);
  lease_judge_.Conclude();
}

void LeaseScenario::CountSeen(std::map<std::string, int64_t>& seen) const {
  judge_.CountSucceeded(seen);
  seen["failover by itself"] += lease_judge_.by_itself();
  seen["failover by word"] += lease_judge_.by_word();
  seen["old copy taken off"] += lease_judge_.taken_off();
  seen["hosts vanished together"] += lease_judge_.together();
  seen["ended by a lease"] += leases_.ended();
}

}  // namespace mtp::simulation
