#include "controller/scheduler/scheduler.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/scheduler/filters.h"

namespace mtp::scheduler {
namespace {

// Whether `a` is the better place for the request. A total order: the name decides at last.
bool Better(const Candidate& a, const Candidate& b, Policy policy) {
  if (a.FreeMib() != b.FreeMib()) {
    switch (policy) {
      case Policy::kBinpack:
        return a.FreeMib() < b.FreeMib();
      case Policy::kSpread:
        return a.FreeMib() > b.FreeMib();
    }
  }
  return a.host->name < b.host->name;
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

std::string WhyChosen(const Candidate& chosen, const Request& request, bool only_one) {
  const std::string room =
      absl::StrCat(Mib(chosen.FreeMib()), " free of ", Mib(chosen.host->allocatable_mib));
  if (!request.host.empty()) return absl::StrCat("asked for by name; ", room);
  if (only_one) return absl::StrCat("the only host that can take it; ", room);
  return absl::StrCat(
      request.policy == Policy::kBinpack ? "fullest host with room; " : "emptiest host; ", room);
}

}  // namespace

int64_t HostView::ReservedMib() const {
  int64_t sum = 0;
  for (const Placed& tenant : placed) sum += tenant.memory_mib;
  return sum;
}

Decision Place(const std::vector<HostView>& hosts, const Request& request) {
  Decision decision;
  std::vector<Candidate> fitting;
  for (const HostView& host : hosts) {
    const Candidate candidate{&host, host.ReservedMib()};
    if (std::optional<std::string> reason = Refusal(candidate, request)) {
      decision.rejections.push_back({host.name, *std::move(reason)});
    } else {
      fitting.push_back(candidate);
    }
  }
  if (!fitting.empty()) {
    const Candidate chosen = *std::min_element(
        fitting.begin(), fitting.end(),
        [&](const Candidate& a, const Candidate& b) { return Better(a, b, request.policy); });
    decision.host = chosen.host->name;
    decision.port = LowestFreePort(chosen.host->ports);
    decision.reason = WhyChosen(chosen, request, fitting.size() == 1);
    for (const Candidate& other : fitting) {
      if (other.host == chosen.host) continue;
      decision.rejections.push_back(
          {other.host->name, absl::StrCat("it would do, ", chosen.host->name, " is preferred (",
                                          request.policy == Policy::kBinpack ? "fuller" : "emptier",
                                          "); ", Mib(other.FreeMib()), " free")});
    }
  }
  std::sort(decision.rejections.begin(), decision.rejections.end(),
            [](const Rejection& a, const Rejection& b) { return a.host < b.host; });
  return decision;
}

}  // namespace mtp::scheduler
