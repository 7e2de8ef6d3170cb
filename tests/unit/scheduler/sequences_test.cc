// 100,000 random histories of small fleets, each from its own seed, judged by a model that keeps
// its own books. A failure prints the seed, and every run has the same histories.
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/scheduler/scheduler.h"
#include "tests/support/seeded_random.h"
#include "tests/unit/scheduler/fleet_builder.h"

namespace mtp::scheduler {
namespace {

using mtp::testing::SeededRandom;

constexpr int kHistories = 100'000;

struct Tenancy {
  std::string host;
  int64_t memory_mib = 0;
  std::string anti_affinity;
  int32_t port = 0;
};

// The books: who is where, apart from what HostView sums up by itself.
class Model {
 public:
  explicit Model(SeededRandom* random) : random_(*random) {
    const int hosts = 1 + static_cast<int>(random_.Below(5));
    for (int i = 0; i < hosts; ++i) {
      HostView host = Host(absl::StrCat("h", i), static_cast<int64_t>(random_.Below(6'000)));
      host.cordoned = random_.Chance(100);
      if (random_.Chance(100)) host.reachable = false;
      if (random_.Chance(200)) host.ports = {kFirstPort + static_cast<int32_t>(random_.Below(4))};
      if (random_.Chance(500)) host.labels["zone"] = "north";
      hosts_.push_back(std::move(host));
    }
  }

  void Step() {
    switch (random_.Below(8)) {
      case 0:
        Remove();
        break;
      case 1: {
        HostView& host = hosts_[random_.Below(hosts_.size())];
        host.cordoned = !host.cordoned;
        break;
      }
      default:
        Place();
    }
  }

  // The first rule that is broken, or nothing.
  std::string Broken() const {
    std::map<std::string, int64_t> reserved_mib;
    std::set<std::pair<std::string, int32_t>> ports;
    std::set<std::pair<std::string, std::string>> groups;
    for (const auto& [name, tenancy] : tenants_) {
      reserved_mib[tenancy.host] += tenancy.memory_mib;
      if (tenancy.port < kFirstPort || tenancy.port > kLastPort) return "a port out of range";
      if (!ports.emplace(tenancy.host, tenancy.port).second) return "a port was given out twice";
      if (!tenancy.anti_affinity.empty() &&
          !groups.emplace(tenancy.host, tenancy.anti_affinity).second) {
        return "two tenants of one group on a host";
      }
    }
    for (const HostView& host : hosts_) {
      if (reserved_mib[host.name] > host.allocatable_mib) return "reserved beyond capacity";
      for (const int32_t port : host.ports) {
        if (!ports.emplace(host.name, port).second) return "a blocked port was given out";
      }
    }
    return broken_;
  }
  int placed() const { return placed_; }
  int refused() const { return refused_; }

 private:
  std::vector<HostView> Views() const {
    std::vector<HostView> views = hosts_;
    for (const auto& [name, tenancy] : tenants_) {
      for (HostView& view : views) {
        if (view.name != tenancy.host) continue;
        view.Take({name, tenancy.memory_mib, tenancy.anti_affinity}, tenancy.port);
      }
    }
    return views;
  }

  Request AnyRequest() {
    Request request = Tenant(1 + static_cast<int64_t>(random_.Below(2'000)));
    request.tenant = absl::StrCat("t", ++names_);
    request.policy = random_.Chance(500) ? Policy::kBinpack : Policy::kSpread;
    if (random_.Chance(200)) request.host = absl::StrCat("h", random_.Below(5));
    if (random_.Chance(200)) request.host_labels["zone"] = "north";
    if (random_.Chance(300)) request.anti_affinity = absl::StrCat("client=", random_.Below(2));
    return request;
  }

  void Place() {
    const Request request = AnyRequest();
    std::vector<HostView> views = Views();
    const Decision decision = scheduler::Place(views, request);
    const size_t expected = hosts_.size() - (decision.host ? 1 : 0);
    if (decision.rejections.size() != expected) broken_ = "a host without a reason";
    CheckOrderDoesNotMatter(std::move(views), request, decision);
    if (!decision.host) {
      ++refused_;
      return;
    }
    ++placed_;
    for (const HostView& host : hosts_) {
      if (host.name != *decision.host) continue;
      if (host.cordoned || !host.reachable) broken_ = "placed on a host that takes nobody";
    }
    tenants_[request.tenant] = {*decision.host, request.memory_mib, request.anti_affinity,
                                decision.port};
  }

  void CheckOrderDoesNotMatter(std::vector<HostView> views, const Request& request,
                               const Decision& decision) {
    for (size_t i = views.size(); i > 1; --i) std::swap(views[i - 1], views[random_.Below(i)]);
    const Decision again = scheduler::Place(views, request);
    bool same = again.host == decision.host && again.port == decision.port &&
                again.reason == decision.reason &&
                again.rejections.size() == decision.rejections.size();
    for (size_t i = 0; same && i < again.rejections.size(); ++i) {
      same = again.rejections[i].host == decision.rejections[i].host &&
             again.rejections[i].reason == decision.rejections[i].reason;
    }
    if (!same) broken_ = "the order of the hosts changed the decision";
  }

  void Remove() {
    if (tenants_.empty()) return;
    tenants_.erase(std::next(tenants_.begin(), static_cast<int>(random_.Below(tenants_.size()))));
  }

  SeededRandom& random_;
  std::vector<HostView> hosts_;  // without tenants
  std::map<std::string, Tenancy> tenants_;
  std::string broken_;
  int names_ = 0;
  int placed_ = 0;
  int refused_ = 0;
};

TEST(Sequences, NeverReserveBeyondCapacityNorGiveAPortTwiceNorDependOnTheHostsOrder) {
  int placed = 0;
  int refused = 0;
  for (int seed = 0; seed < kHistories; ++seed) {
    SeededRandom random(seed);
    Model model(&random);
    const int steps = 4 + static_cast<int>(random.Below(12));
    for (int step = 0; step < steps; ++step) {
      model.Step();
      ASSERT_EQ(model.Broken(), "") << "seed " << seed << ", step " << step;
    }
    placed += model.placed();
    refused += model.refused();
  }
  // The histories are worth something only when both answers are frequent.
  EXPECT_GT(placed, kHistories);
  EXPECT_GT(refused, kHistories);
}

}  // namespace
}  // namespace mtp::scheduler
