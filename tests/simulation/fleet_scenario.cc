#include "tests/simulation/fleet_scenario.h"

#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"

namespace mtp::simulation {
namespace {

// Two of them share an env prefix.
constexpr const char* kNames[] = {"acme", "beta", "client-a", "client--a", "delta", "7up"};
constexpr uint64_t kBots = 5;
constexpr char kCaller[] = "operator/alice";

}  // namespace

FleetScenario::FleetScenario(uint64_t seed, Plant plant, bool keep_trace)
    : Scenario(seed, plant, keep_trace), fleet_judge_(disk_.get(), &judge_, &agents_, plant) {
  kv::Txn txn;
  for (const std::string& host : agents_.Hosts()) {
    const int64_t mib = 512 * static_cast<int64_t>(1 + random_.Below(8));
    allocatable_mib_[host] = mib;
    state::v1::HostRecord record;
    record.set_name(host);
    record.set_allocatable_mib(mib);
    record.set_memory_total_mib(mib + 1024);
    Tables(disk_.get()).hosts.Put(txn, host, record);
  }
  fleet_judge_.SetRoom(allocatable_mib_);
  if (!disk_->Commit(txn).ok()) judge_.Violation("the hosts could not be written");
  if (random_.Chance(500)) AddRepository();
  agents_.on_effect = [this](const std::string& host, const v1::EnsureActionRequest& request,
                             v1::ActionState state) {
    fleet_judge_.OnEffect(host, request, state);
  };
  agents_.on_reachable = [this](const std::string& host, bool reachable) {
    if (!ControllerLives()) return;
    Observe(host, reachable);
    if (!reachable) return;
    // As the controller does when a host's stream is back.
    for (const kv::Entry& entry : disk_->List("/operations/")) {
      controller_->engine().Wake(entry.key.substr(sizeof("/operations/") - 1));
    }
  };
}

void FleetScenario::AddRepository() {
  v1::AddRepositoryRequest request;
  request.set_repository_id("main");
  request.set_url("/srv/main");
  if (!Repositories(disk_.get(), &box_, &clock_, &random_).Add(request).ok()) {
    judge_.Violation("the repository could not be added");
  }
  fleet_judge_.SetHasRepository();
}

std::vector<operations::Kind> FleetScenario::MakeKinds(const StepWorld& steps) {
  const TenantClients clients{steps.store, steps.agents, &box_};
  return {ProvisionKind(clients), RemoveKind({clients, &clock_, "f"}), StartKind(clients),
          StopKind(clients), RestartKind(clients)};
}

void FleetScenario::OnBoot() {
  tenants_.reset();
  observations_ = std::make_unique<Observations>();
  Tenants::Options options;
  options.default_reservation_mib = 512;
  if (random_.Chance(500)) options.policy = scheduler::Policy::kSpread;
  options.removal_repository = [store = controller_->store(), this] {
    return Repositories(store, &box_, &clock_, &random_).Default();
  };
  tenants_ = std::make_unique<Tenants>(controller_->store(), &controller_->engine(),
                                       observations_.get(), &box_, &clock_, &random_, options);
  for (const std::string& host : agents_.Hosts()) Observe(host, agents_.IsReachable(host));
}

void FleetScenario::Observe(const std::string& host, bool reachable) {
  observations_->Update(host, [&](HostObservation& seen) {
    seen.connected = reachable;
    seen.status.set_state(v1::HOST_STATE_READY);
    seen.status.set_allocatable_mib(allocatable_mib_[host]);
    seen.status.set_memory_total_mib(allocatable_mib_[host] + 1024);
    seen.status.set_disk_free_mib(100'000);
  });
}

bool FleetScenario::IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status) ||
         absl::IsNotFound(status) || absl::IsResourceExhausted(status);
}

Scenario::Wish FleetScenario::ProvisionWish(const std::string& tenant) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(tenant);
  request.set_request_id(NextRequestId());
  request.mutable_secrets()->set_telegram_token(
      absl::StrCat(1000 + random_.Below(kBots), ":secret"));
  request.mutable_spec()->set_memory_reservation_mib(static_cast<int64_t>(256 * random_.Below(6)));
  return {request.request_id(),
          [this, request]() -> absl::StatusOr<v1::Operation> {
            auto response = tenants_->Provision(kCaller, request);
            if (!response.ok()) return response.status();
            return response->operation();
          },
          IsRefusal};
}

Scenario::Wish FleetScenario::NewWish() {
  const std::string tenant = kNames[random_.Below(std::size(kNames))];
  const uint64_t choice = random_.Below(10);
  if (choice < 5) return ProvisionWish(tenant);
  const std::string id = NextRequestId();
  const std::string resource = "tenants/" + tenant;
  const auto fill = [&](auto request) {
    request.set_name(resource);
    request.set_request_id(id);
    return request;
  };
  if (choice < 7) {
    v1::RemoveTenantRequest request = fill(v1::RemoveTenantRequest());
    return {id, [this, request] { return tenants_->Remove(kCaller, request); }, IsRefusal};
  }
  if (choice < 8) {
    v1::StartTenantRequest request = fill(v1::StartTenantRequest());
    return {id, [this, request] { return tenants_->Start(kCaller, request); }, IsRefusal};
  }
  if (choice < 9) {
    v1::StopTenantRequest request = fill(v1::StopTenantRequest());
    return {id, [this, request] { return tenants_->Stop(kCaller, request); }, IsRefusal};
  }
  v1::RestartTenantRequest request = fill(v1::RestartTenantRequest());
  return {id, [this, request] { return tenants_->Restart(kCaller, request); }, IsRefusal};
}

void FleetScenario::Conclude() {
  judge_.Conclude({}, agents_);
  fleet_judge_.Conclude();
}

}  // namespace mtp::simulation
