#include "controller/scheduler/scheduler.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/scheduler/filters.h"

namespace mtp::scheduler {
namespace {

using Reason = std::optional<std::string>;

// Whether `a` is the better place for the request. A total order: the name decides at last.
bool Better(const HostView& a, const HostView& b, Policy policy) {
  if (a.FreeMib() != b.FreeMib()) {
    switch (policy) {
      case Policy::kBinpack:
        return a.FreeMib() < b.FreeMib();
      case Policy::kSpread:
        return a.FreeMib() > b.FreeMib();
    }
  }
  return a.name < b.name;
}

int32_t LowestFreePort(std::vector<int32_t> taken) {
  std::sort(taken.begin(), taken.end());
  int32_t port = kFirstPort;
  for (const int32_t used : taken) {
    if (used < port) continue;
    if (used > port) break;
    ++port;
  }
  return port;
}

std::string WhyChosen(const HostView& chosen, const Request& request, bool only_one) {
  const std::string room =
      absl::StrCat(Mib(chosen.FreeMib()), " free of ", Mib(chosen.allocatable_mib));
  if (!request.host.empty()) return absl::StrCat("asked for by name; ", room);
  if (only_one) return absl::StrCat("the only host that can take it; ", room);
  return absl::StrCat(
      request.policy == Policy::kBinpack ? "fullest host with room; " : "emptiest host; ", room);
}

}  // namespace

void HostView::Take(Placed tenant, int32_t port) {
  reserved_mib_ += tenant.memory_mib;
  placed_.push_back(std::move(tenant));
  ports.push_back(port);
}

Decision Place(const std::vector<HostView>& hosts, const Request& request) {
  std::vector<Reason> reasons;
  reasons.reserve(hosts.size());
  const HostView* chosen = nullptr;
  size_t fitting = 0;
  for (const HostView& host : hosts) {
    reasons.push_back(Refusal(host, request));
    if (reasons.back()) continue;
    ++fitting;
    if (chosen == nullptr || Better(host, *chosen, request.policy)) chosen = &host;
  }
  Decision decision;
  std::string preferred;
  if (chosen != nullptr) {
    decision.host = chosen->name;
    decision.port = LowestFreePort(chosen->ports);
    decision.reason = WhyChosen(*chosen, request, fitting == 1);
    preferred = absl::StrCat("it would do, ", chosen->name, " is preferred (",
                             request.policy == Policy::kBinpack ? "fuller" : "emptier", "); ");
  }
  decision.rejections.reserve(hosts.size());
  for (size_t i = 0; i < hosts.size(); ++i) {
    const HostView& host = hosts[i];
    if (&host == chosen) continue;
    decision.rejections.push_back(
        {host.name, reasons[i] ? *std::move(reasons[i])
                               : absl::StrCat(preferred, Mib(host.FreeMib()), " free")});
  }
  // The fleet lists its hosts by name, so there is mostly nothing to sort.
  const auto by_name = [](const Rejection& a, const Rejection& b) { return a.host < b.host; };
  if (!std::is_sorted(decision.rejections.begin(), decision.rejections.end(), by_name)) {
    std::sort(decision.rejections.begin(), decision.rejections.end(), by_name);
  }
  return decision;
}

}  // namespace mtp::scheduler
