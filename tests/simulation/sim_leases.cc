#include "tests/simulation/sim_leases.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/durations.h"

namespace mtp::simulation {
namespace {

constexpr absl::Duration kTick = absl::Seconds(4);
// Faster and slower than NTP ever makes a clock.
constexpr int64_t kMaxDriftPpm = 1000;
// Of 1,000 messages.
constexpr uint64_t kLate = 100;
constexpr int64_t kMillion = 1'000'000;

}  // namespace

void SimLeases::AddHost(const std::string& host) {
  Host& added = hosts_[host];
  added.offset = absl::Seconds(static_cast<int64_t>(world_.random->Below(1'000'000)));
  added.drift_ppm = static_cast<int64_t>(world_.random->Below(2 * kMaxDriftPpm)) - kMaxDriftPpm;
}

absl::Duration SimLeases::Now(const Host& host) const {
  const absl::Duration passed = world_.clock->Boottime();
  return host.offset + passed + passed * host.drift_ppm / kMillion;
}

absl::Duration SimLeases::Delay(uint64_t late) {
  // Many arrive at once, the others when they are worth little.
  const uint64_t most_ms = world_.random->Chance(late) ? 90'000 : 500;
  return absl::Milliseconds(static_cast<int64_t>(world_.random->Below(most_ms)));
}

void SimLeases::Start(
    std::function<void(const std::string& host, const v1::LeaseStamp& stamp)> on_stamp) {
  on_stamp_ = std::move(on_stamp);
  late_grants_ = world_.random->Chance(500) ? kLate : 900;
  for (const auto& [host, unused] : hosts_) Tick(host);
}

void SimLeases::Tick(const std::string& name) {
  Host& host = hosts_.at(name);
  if (world_.agents->IsReachable(name) && !world_.random->Chance(world_.faults->lost_event)) {
    v1::LeaseStamp stamp;
    stamp.set_agent_instance(absl::StrCat(name, "-", host.life));
    *stamp.mutable_boot_time() = ToDuration(Now(host));
    world_.executor->PostAfter(Delay(kLate), [this, name, stamp] {
      if (world_.agents->IsReachable(name)) on_stamp_(name, stamp);
    });
  }
  world_.executor->PostAfter(kTick, [this, name] { Tick(name); });
}

void SimLeases::Send(const std::string& host, const v1::GrantLeaseRequest& grant) {
  if (world_.random->Chance(world_.faults->lost_request)) return;
  const int times = world_.random->Chance(50) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    // Some cuts are of one direction only.
    const bool passes = world_.random->Chance(500);
    world_.executor->PostAfter(Delay(late_grants_), [this, host, grant, passes] {
      if (passes || world_.agents->IsReachable(host)) Arrive(host, grant);
    });
  }
}

void SimLeases::Arrive(const std::string& name, const v1::GrantLeaseRequest& grant) {
  Host& host = hosts_.at(name);
  if (grant.stamp().agent_instance() != absl::StrCat(name, "-", host.life)) return;
  const absl::Duration stamp = FromDuration(grant.stamp().boot_time());
  if (stamp < host.stamp) return;
  host.stamp = stamp;
  const absl::Duration from = world_.plant == Plant::kLeaseFromArrival ? Now(host) : stamp;
  host.deadline = from + FromDuration(grant.duration());
  host.named.emplace();
  for (const auto& tenant : grant.tenants()) (*host.named)[tenant.tenant()] = tenant.epoch();
  const absl::Duration left = std::max(host.deadline - Now(host), absl::ZeroDuration());
  // On the host's own clock, which the executor does not know.
  const absl::Duration real = left - left * host.drift_ppm / kMillion + absl::Milliseconds(200);
  world_.executor->PostAfter(real, [this, name] { Enforce(name); });
  if (left == absl::ZeroDuration()) return;
  for (const auto& [tenant, epoch] : host.leased) {
    if (!MayStart(name, tenant, epoch)) End(name, tenant);
  }
  StartAgain(name);
}

// The guard's work: agent, engine and network have no part in it.
void SimLeases::Enforce(const std::string& name) {
  if (world_.plant == Plant::kGuardAsleep) return;
  const Host& host = hosts_.at(name);
  if (Now(host) < host.deadline) return;
  for (const auto& [tenant, epoch] : host.leased) End(name, tenant);
}

void SimLeases::End(const std::string& name, const std::string& tenant) {
  if (!world_.engines->View(name, tenant).Runs()) return;
  ++ended_;
  world_.trace->Add("lease of ", name, " ends ", tenant);
  world_.engines->End(name, tenant);
  hosts_.at(name).ended.insert(tenant);
  if (on_change) on_change(name, tenant);
}

void SimLeases::StartAgain(const std::string& name) {
  Host& host = hosts_.at(name);
  const std::set<std::string> ended = host.ended;
  for (const std::string& tenant : ended) {
    const auto leased = host.leased.find(tenant);
    if (leased == host.leased.end() || !MayStart(name, tenant, leased->second)) continue;
    host.ended.erase(tenant);
    if (!world_.engines->View(name, tenant).container) continue;
    world_.trace->Add("lease of ", name, " starts ", tenant);
    world_.engines->Begin(name, tenant);
    if (on_change) on_change(name, tenant);
  }
}

bool SimLeases::MayStart(const std::string& name, const std::string& tenant, int64_t epoch) const {
  const Host& host = hosts_.at(name);
  if (Now(host) >= host.deadline || !host.named.has_value()) return false;
  const auto named = host.named->find(tenant);
  return named != host.named->end() && named->second >= epoch;
}

bool SimLeases::IsLeased(const std::string& host, const std::string& tenant) const {
  return hosts_.at(host).leased.count(tenant) > 0;
}

void SimLeases::SetLeased(const std::string& name, const std::string& tenant, bool leased,
                          int64_t epoch) {
  Host& host = hosts_.at(name);
  if (leased) {
    host.leased[tenant] = epoch;
  } else {
    Forget(name, tenant);
  }
}

void SimLeases::Forget(const std::string& host, const std::string& tenant) {
  hosts_.at(host).leased.erase(tenant);
  hosts_.at(host).ended.erase(tenant);
}

}  // namespace mtp::simulation
