#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/scheduler/scheduler.h"
#include "tests/unit/scheduler/fleet_builder.h"

namespace mtp::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Optional;

auto Rejected(const std::string& host, const std::string& reason) {
  return ::testing::AllOf(Field("host", &Rejection::host, host),
                          Field("reason", &Rejection::reason, reason));
}

TEST(Placement, HasNoPlaceInAnEmptyFleet) {
  const Decision decision = Place({}, Tenant(512));
  EXPECT_EQ(decision.host, std::nullopt);
  EXPECT_THAT(decision.rejections, IsEmpty());
}

TEST(Placement, BinpackTakesTheFullestHostWithRoom) {
  const Decision decision =
      Place({HostWith("full", 4096, 4000), HostWith("half", 4096, 2048), Host("idle", 4096)},
            Tenant(512));
  EXPECT_THAT(decision.host, Optional(std::string("half")));
  EXPECT_EQ(decision.reason, "fullest host with room; 2,048 MiB free of 4,096 MiB");
  EXPECT_THAT(
      decision.rejections,
      ElementsAre(Rejected("full", "96 MiB free of 4,096 MiB allocatable, 512 MiB needed"),
                  Rejected("idle", "it would do, half is preferred (fuller); 4,096 MiB free")));
}

TEST(Placement, SpreadTakesTheEmptiestHost) {
  Request request = Tenant(512);
  request.policy = Policy::kSpread;
  const Decision decision = Place({HostWith("half", 4096, 2048), Host("idle", 4096)}, request);
  EXPECT_THAT(decision.host, Optional(std::string("idle")));
  EXPECT_EQ(decision.reason, "emptiest host; 4,096 MiB free of 4,096 MiB");
  EXPECT_THAT(
      decision.rejections,
      ElementsAre(Rejected("half", "it would do, idle is preferred (emptier); 2,048 MiB free")));
}

TEST(Placement, BreaksTiesByNameInBothPolicies) {
  Request request = Tenant(512);
  for (const Policy policy : {Policy::kBinpack, Policy::kSpread}) {
    request.policy = policy;
    EXPECT_THAT(Place({Host("c", 4096), Host("a", 4096), Host("b", 4096)}, request).host,
                Optional(std::string("a")));
  }
}

TEST(Placement, SaysWhenOnlyOneHostWillDo) {
  EXPECT_EQ(Place({Host("h1", 4096), Host("h2", 100)}, Tenant(512)).reason,
            "the only host that can take it; 4,096 MiB free of 4,096 MiB");
}

TEST(Placement, TakesTheHostAskedForAlthoughAnotherIsFuller) {
  Request request = Tenant(512);
  request.host = "idle";
  const Decision decision = Place({HostWith("half", 4096, 2048), Host("idle", 4096)}, request);
  EXPECT_THAT(decision.host, Optional(std::string("idle")));
  EXPECT_EQ(decision.reason, "asked for by name; 4,096 MiB free of 4,096 MiB");
  EXPECT_THAT(decision.rejections, ElementsAre(Rejected("half", "the tenant asks for host idle")));
}

TEST(Placement, GivesAReasonForEveryHostWhenNoneWillDo) {
  HostView cordoned = Host("h1", 4096);
  cordoned.cordoned = true;
  HostView away = Host("h3", 4096);
  away.reachable = false;
  const Decision decision = Place({away, HostWith("h2", 1024, 800), cordoned}, Tenant(512));
  EXPECT_EQ(decision.host, std::nullopt);
  EXPECT_EQ(decision.port, 0);
  EXPECT_THAT(decision.rejections,
              ElementsAre(Rejected("h1", "it is cordoned"),
                          Rejected("h2", "224 MiB free of 1,024 MiB allocatable, 512 MiB needed"),
                          Rejected("h3", "its agent cannot be reached")));
}

TEST(Placement, PutsTenantsOfOneGroupOnDifferentHosts) {
  Request request = Tenant(512);
  request.anti_affinity = "client=acme";
  HostView fuller = Host("h1", 4096);
  fuller.Take({"acme-1", 1024, "client=acme"}, kFirstPort);
  EXPECT_THAT(Place({fuller, Host("h2", 4096)}, request).host, Optional(std::string("h2")));
  EXPECT_EQ(Place({fuller}, request).host, std::nullopt);
}

TEST(Placement, FollowsLabels) {
  HostView north = HostWith("h1", 4096, 1024);
  north.labels["zone"] = "north";
  HostView south = Host("h2", 4096);
  south.labels["zone"] = "south";
  Request request = Tenant(512);
  request.host_labels["zone"] = "south";
  EXPECT_THAT(Place({north, south}, request).host, Optional(std::string("h2")));
}

TEST(Placement, HandsOutTheLowestFreePort) {
  HostView host = Host("h1", 4096);
  EXPECT_EQ(Place({host}, Tenant(512)).port, kFirstPort);
  host.ports = {kFirstPort + 2, kFirstPort};
  EXPECT_EQ(Place({host}, Tenant(512)).port, kFirstPort + 1);
  host.ports.push_back(kFirstPort + 1);
  EXPECT_EQ(Place({host}, Tenant(512)).port, kFirstPort + 3);
}

TEST(Placement, IsNotConfusedByPortsOutsideItsRangeOrNamedTwice) {
  HostView host = Host("h1", 4096);
  host.ports = {80, kFirstPort, kFirstPort, kLastPort + 1};
  EXPECT_EQ(Place({host}, Tenant(512)).port, kFirstPort + 1);
}

TEST(Placement, CountsPortsPerHost) {
  HostView busy = Host("h1", 4096);
  busy.ports = {kFirstPort};
  Request request = Tenant(512);
  request.host = "h2";
  EXPECT_EQ(Place({busy, Host("h2", 4096)}, request).port, kFirstPort);
}

TEST(HostView, KeepsTheSumOfItsTenants) {
  HostView host = Host("h1", 1000);
  host.Take({"a", 300, ""}, kFirstPort);
  host.Take({"b", 800, ""}, kFirstPort + 1);
  EXPECT_EQ(host.reserved_mib(), 1100);
  EXPECT_EQ(host.FreeMib(), -100);
  EXPECT_THAT(host.ports, ElementsAre(kFirstPort, kFirstPort + 1));
}

}  // namespace
}  // namespace mtp::scheduler
