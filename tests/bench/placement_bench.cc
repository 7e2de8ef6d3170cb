// Placement in a full fleet: 1,000 hosts, 20,000 tenants. The goal is a p99 of Place below 1 ms.
//
// The same decision is also taken the naive way in the same run, by looking through all tenants for
// each host, and the program prints how many times faster Place is: that figure can be compared
// between machines. Exits with 1 when the goal is missed.
//
// The goal is judged in processor time of the thread that places, since a machine that is busy with
// something else takes the processor away for longer than a whole placement lasts; wall-clock time
// is printed beside it. Build with the release preset: others measure their own checks.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "controller/scheduler/scheduler.h"

namespace mtp::scheduler {
namespace {

constexpr int kHosts = 1'000;
constexpr int kTenants = 20'000;
constexpr int kPlacements = 2'000;
constexpr int kNaivePlacements = 20;
constexpr int64_t kGoalUs = 1'000;

struct Tenant {
  std::string name;
  int host = 0;
  int64_t memory_mib = 0;
};

struct Fleet {
  std::vector<HostView> hosts;
  std::vector<Tenant> tenants;
};

// Hosts of 16 to 64 GiB with 20 tenants each: some too full for the next tenant, most not, so that
// both ways through the filters and both kinds of rejections are paid for.
Fleet FullFleet() {
  Fleet fleet;
  for (int i = 0; i < kHosts; ++i) {
    HostView host;
    host.name = absl::StrFormat("host-%04d", i);  // by name, as the fleet lists them
    host.allocatable_mib = (16 + i % 49) * 1024;
    host.memory_total_mib = host.allocatable_mib + 2048;
    host.used_mib = host.allocatable_mib / 2;
    host.disk_free_mib = 100'000;
    host.labels["zone"] = absl::StrCat("z", i % 4);
    fleet.hosts.push_back(std::move(host));
  }
  for (int i = 0; i < kTenants; ++i) {
    const int on = i % kHosts;
    Tenant tenant{absl::StrCat("tenant-", i), on, 700 + (i * 37) % 200};
    fleet.hosts[on].Take({tenant.name, tenant.memory_mib, absl::StrCat("client=c", i % 5'000)},
                         kFirstPort + i / kHosts);
    fleet.tenants.push_back(std::move(tenant));
  }
  return fleet;
}

Request PlainRequest() {
  Request request;
  request.tenant = "newcomer";
  request.memory_mib = 800;
  return request;
}

Request PickyRequest() {
  Request request = PlainRequest();
  request.anti_affinity = "client=c4711";
  request.host_labels["zone"] = "z1";
  request.policy = Policy::kSpread;
  return request;
}

// What a scheduler without sums and without reasons would do.
std::string PlaceNaively(const Fleet& fleet, const Request& request) {
  std::string best;
  int64_t best_free_mib = 0;
  for (size_t i = 0; i < fleet.hosts.size(); ++i) {
    const HostView& host = fleet.hosts[i];
    int64_t free_mib = host.allocatable_mib;
    for (const Tenant& tenant : fleet.tenants) {
      if (tenant.host == static_cast<int>(i)) free_mib -= tenant.memory_mib;
    }
    if (free_mib < request.memory_mib) continue;
    const bool better = free_mib != best_free_mib ? free_mib < best_free_mib : host.name < best;
    if (best.empty() || better) {
      best = host.name;
      best_free_mib = free_mib;
    }
  }
  return best;
}

double Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

template <typename Work>
std::vector<double> Microseconds(clockid_t clock, int times, const Work& work) {
  std::vector<double> taken_us;
  taken_us.reserve(times);
  for (int i = 0; i < times; ++i) {
    const double begin = Now(clock);
    benchmark::DoNotOptimize(work());
    taken_us.push_back(Now(clock) - begin);
  }
  std::sort(taken_us.begin(), taken_us.end());
  return taken_us;
}

double Quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// p99 of Place, printed with p50 and the ratios to the naive way.
double Report(const char* what, const Fleet& fleet, const Request& request, double naive_us) {
  const auto place = [&] { return Place(fleet.hosts, request); };
  const std::vector<double> own_us = Microseconds(CLOCK_THREAD_CPUTIME_ID, kPlacements, place);
  const std::vector<double> wall_us = Microseconds(CLOCK_MONOTONIC, kPlacements, place);
  const double p50_us = Quantile(own_us, 0.50);
  const double p99_us = Quantile(own_us, 0.99);
  std::printf(
      "%-38s p50 %6.0f us  p99 %6.0f us  (wall p99 %6.0f us)  naive/p50 %5.0f  p99/goal %5.2f\n",
      what, p50_us, p99_us, Quantile(wall_us, 0.99), naive_us / p50_us, p99_us / kGoalUs);
  return p99_us;
}

int Run() {
  const Fleet fleet = FullFleet();
  const Request plain = PlainRequest();
  if (Place(fleet.hosts, plain).host != PlaceNaively(fleet, plain)) {
    std::printf("the naive way and Place disagree\n");
    return 1;
  }
  const double naive_us = Quantile(Microseconds(CLOCK_THREAD_CPUTIME_ID, kNaivePlacements,
                                                [&] { return PlaceNaively(fleet, plain); }),
                                   0.50);
  std::printf("%d hosts, %d tenants, goal p99 < %d us\n", kHosts, kTenants,
              static_cast<int>(kGoalUs));
  std::printf("%-38s p50 %6.0f us\n", "naive: all tenants looked at for each host", naive_us);
  double worst_us = Report("Place, binpack", fleet, plain, naive_us);
  worst_us = std::max(
      worst_us, Report("Place, spread, label, anti-affinity", fleet, PickyRequest(), naive_us));
  return worst_us < kGoalUs ? 0 : 1;
}

}  // namespace
}  // namespace mtp::scheduler

int main() { return mtp::scheduler::Run(); }
