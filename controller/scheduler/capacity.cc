#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/scheduler/filters.h"
#include "controller/scheduler/scheduler.h"

namespace mtp::scheduler {
namespace {

constexpr int32_t kMaxCounted = 10'000;

// How many tenants of that size one host takes. Every filter but the ones on memory and ports gives
// the same answer for the first and the last tenant, so Refusal is asked once and the rest is
// arithmetic.
HostRoom RoomOn(const HostView& host, int64_t memory_mib) {
  HostRoom room;
  room.host = host.name;
  room.free_mib = std::max<int64_t>(0, host.FreeMib());
  Request request;
  request.memory_mib = memory_mib;
  if (std::optional<std::string> reason = Refusal(host, request)) {
    room.reason = *std::move(reason);
    return room;
  }
  const int64_t by_memory = memory_mib > 0 ? host.FreeMib() / memory_mib : kMaxCounted;
  const int64_t by_port = kLastPort - kFirstPort + 1 - static_cast<int64_t>(host.ports.size());
  room.more_tenants = static_cast<int32_t>(std::min<int64_t>({by_memory, by_port, kMaxCounted}));
  return room;
}

void FindStranded(std::vector<HostView> hosts, Policy policy, CapacityReport* report) {
  const auto largest =
      std::max_element(hosts.begin(), hosts.end(), [](const HostView& a, const HostView& b) {
        const int64_t left = a.reserved_mib();
        const int64_t right = b.reserved_mib();
        return left != right ? left < right : a.name > b.name;
      });
  if (largest == hosts.end()) return;
  report->largest_host = largest->name;
  std::vector<Placed> homeless = largest->placed();
  hosts.erase(largest);
  std::sort(homeless.begin(), homeless.end(), [](const Placed& a, const Placed& b) {
    return a.memory_mib != b.memory_mib ? a.memory_mib > b.memory_mib : a.tenant < b.tenant;
  });
  for (const Placed& tenant : homeless) {
    Request request;
    request.tenant = tenant.tenant;
    request.memory_mib = tenant.memory_mib;
    request.anti_affinity = tenant.anti_affinity;
    request.policy = policy;
    const Decision decision = Place(hosts, request);
    if (!decision.host) {
      report->stranded_tenants.push_back(tenant.tenant);
      continue;
    }
    for (HostView& host : hosts) {
      if (host.name != *decision.host) continue;
      host.Take(tenant, decision.port);
    }
  }
  std::sort(report->stranded_tenants.begin(), report->stranded_tenants.end());
  report->survives_largest_host_loss = report->stranded_tenants.empty();
}

}  // namespace

CapacityReport Capacity(const std::vector<HostView>& hosts, int64_t memory_mib, Policy policy) {
  CapacityReport report;
  for (const HostView& host : hosts) {
    HostRoom room = RoomOn(host, memory_mib);
    report.more_tenants += room.more_tenants;
    report.hosts.push_back(std::move(room));
  }
  FindStranded(hosts, policy, &report);
  return report;
}

}  // namespace mtp::scheduler
