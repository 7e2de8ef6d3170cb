#include "controller/failover/decide.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace mtp::failover {
namespace {

constexpr size_t kFewest = 2;

struct World {
  std::map<std::string, HostLife> silent;
  std::set<std::string> frozen;
  absl::Duration now;
};

struct Obstacle {
  std::string reason;
  bool busy = false;  // The operation in the way is all that is.
};

// What the tenant is comes first, then its host, then what only passes.
std::optional<Obstacle> WhyNot(const Placed& tenant, const HostLife& host, const World& world) {
  if (!tenant.may_fail_over) {
    return Obstacle{absl::StrCat("it stays, as its policy says; `mtp-cli tenant failover ",
                                 tenant.tenant, "` places it elsewhere")};
  }
  if (tenant.asks_for_host) {
    return Obstacle{absl::StrCat("it asks for this host and no other; `mtp-cli tenant failover ",
                                 tenant.tenant, " --host NAME` places it elsewhere")};
  }
  if (!tenant.leased) {
    return Obstacle{
        "its host has not confirmed that it runs under the lease, so it may still run there"};
  }
  if (!tenant.wanted) return Obstacle{"it is stopped, so nothing is moved"};
  if (!host.lease_over) return Obstacle{"its host may still run it until its lease has run out"};
  if (world.frozen.count(host.name) > 0) {
    return Obstacle{absl::StrCat(
        "several hosts vanished together, so nothing is moved; `mtp-cli tenant failover ",
        tenant.tenant, "` does it all the same")};
  }
  if (!tenant.busy.empty()) {
    return Obstacle{
        absl::StrCat("the operation ", tenant.busy, " on it goes on; `mtp-cli op cancel` ends it"),
        /*busy=*/true};
  }
  if (tenant.backup.empty()) {
    return Obstacle{
        "it has no backup, so there is nothing that it could be restored from elsewhere"};
  }
  if (world.now < tenant.not_before) {
    return Obstacle{"the last try failed; it is tried again in some minutes"};
  }
  return std::nullopt;
}

}  // namespace

std::set<std::string> Frozen(const std::vector<HostLife>& hosts) {
  std::set<std::string> frozen;
  for (const HostLife& host : hosts) {
    if (host.heard) continue;
    const size_t together = std::count_if(hosts.begin(), hosts.end(), [&](const HostLife& other) {
      return !other.heard && absl::AbsDuration(other.silent_since - host.silent_since) <= kTogether;
    });
    if (together >= kFewest && 3 * together >= hosts.size()) frozen.insert(host.name);
  }
  return frozen;
}

Decision Decide(const std::vector<HostLife>& hosts, const std::vector<Placed>& tenants,
                absl::Duration now) {
  World world;
  world.now = now;
  world.frozen = Frozen(hosts);
  for (const HostLife& host : hosts) {
    if (!host.heard) world.silent.emplace(host.name, host);
  }
  Decision decision;
  for (const Placed& tenant : tenants) {
    const auto host = world.silent.find(tenant.host);
    if (host == world.silent.end()) continue;
    if (auto obstacle = WhyNot(tenant, host->second, world)) {
      decision.held.push_back(
          {tenant.tenant, tenant.host, std::move(obstacle->reason), obstacle->busy});
    } else {
      decision.moves.push_back({tenant.tenant, tenant.host, tenant.backup});
    }
  }
  const auto by_tenant = [](const auto& a, const auto& b) { return a.tenant < b.tenant; };
  std::sort(decision.moves.begin(), decision.moves.end(), by_tenant);
  std::sort(decision.held.begin(), decision.held.end(), by_tenant);
  return decision;
}

}  // namespace mtp::failover
