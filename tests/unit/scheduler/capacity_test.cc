// How many more tenants fit, by the same function that places.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/scheduler/scheduler.h"
#include "tests/support/seeded_random.h"
#include "tests/unit/scheduler/fleet_builder.h"

namespace mtp::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Places tenants of that size until none fits or `limit` are placed; how many were.
int PlaceUntilFull(std::vector<HostView> hosts, int64_t memory_mib, Policy policy, int limit) {
  for (int placed = 0; placed < limit; ++placed) {
    Request request = Tenant(memory_mib);
    request.tenant = absl::StrCat("t", placed);
    request.policy = policy;
    const Decision decision = Place(hosts, request);
    if (!decision.host) return placed;
    for (HostView& host : hosts) {
      if (host.name == *decision.host) host.Take({request.tenant, memory_mib, ""}, decision.port);
    }
  }
  return limit;
}

TEST(Capacity, OfSixtyFourTenantsExactlyAsManyArePlacedAsThereIsRoomFor) {
  for (const Policy policy : {Policy::kBinpack, Policy::kSpread}) {
    // 7 + 7 + 3 = 17, with a remainder on each host that is of no use.
    const std::vector<HostView> hosts = {Host("h1", 7'500), Host("h2", 7'999), Host("h3", 3'001)};
    EXPECT_EQ(PlaceUntilFull(hosts, 1000, policy, 64), 17);
    EXPECT_EQ(Capacity(hosts, 1000, policy).more_tenants, 17);
  }
}

TEST(Capacity, EqualsWhatPlacingWouldPlaceInAnyFleet) {
  for (int seed = 0; seed < 500; ++seed) {
    mtp::testing::SeededRandom random(seed);
    std::vector<HostView> hosts;
    for (uint64_t i = 0; i <= random.Below(5); ++i) {
      HostView host = Host(absl::StrCat("h", i), static_cast<int64_t>(random.Below(8'000)));
      host.cordoned = random.Chance(200);
      host.used_mib = static_cast<int64_t>(random.Below(host.memory_total_mib));
      host.Take({absl::StrCat("old", i), static_cast<int64_t>(random.Below(3'000)), ""},
                kFirstPort);
      hosts.push_back(std::move(host));
    }
    const int64_t memory_mib = 100 + static_cast<int64_t>(random.Below(900));
    EXPECT_EQ(Capacity(hosts, memory_mib, Policy::kSpread).more_tenants,
              PlaceUntilFull(hosts, memory_mib, Policy::kSpread, 10'000))
        << "seed " << seed;
  }
}

TEST(Capacity, SaysPerHostHowManyFitOrWhyNone) {
  HostView cordoned = Host("h2", 4096);
  cordoned.cordoned = true;
  const CapacityReport report =
      Capacity({HostWith("h1", 4096, 1096), cordoned}, 1000, Policy::kBinpack);
  ASSERT_EQ(report.hosts.size(), 2U);
  EXPECT_EQ(report.hosts[0].more_tenants, 3);
  EXPECT_EQ(report.hosts[0].free_mib, 3000);
  EXPECT_EQ(report.hosts[0].reason, "");
  EXPECT_EQ(report.hosts[1].more_tenants, 0);
  EXPECT_EQ(report.hosts[1].free_mib, 4096);
  EXPECT_EQ(report.hosts[1].reason, "it is cordoned");
}

TEST(Capacity, IsLimitedByPortsAsWellAsByMemory) {
  HostView host = Host("h1", 1'000'000);
  for (int32_t port = kFirstPort; port <= kLastPort - 3; ++port) host.ports.push_back(port);
  EXPECT_EQ(Capacity({host}, 100, Policy::kBinpack).more_tenants, 3);
}

TEST(Capacity, NeverShowsLessThanNothingFree) {
  const CapacityReport report = Capacity({HostWith("h1", 1000, 1500)}, 100, Policy::kBinpack);
  EXPECT_EQ(report.more_tenants, 0);
  EXPECT_EQ(report.hosts[0].free_mib, 0);
}

TEST(LosingTheLargestHost, IsSurvivedWhenItsTenantsFitElsewhere) {
  const CapacityReport report =
      Capacity({HostWith("h1", 4096, 3000), HostWith("h2", 4096, 1000)}, 512, Policy::kBinpack);
  EXPECT_EQ(report.largest_host, "h1");
  EXPECT_TRUE(report.survives_largest_host_loss);
  EXPECT_THAT(report.stranded_tenants, IsEmpty());
}

TEST(LosingTheLargestHost, NamesTheTenantsThatWouldBeStranded) {
  HostView large = Host("h1", 8192);
  large.Take({"zeta", 2000, ""}, kFirstPort);
  large.Take({"beta", 2000, ""}, kFirstPort + 1);
  large.Take({"small", 100, ""}, kFirstPort + 2);
  const CapacityReport report =
      Capacity({large, HostWith("h2", 4096, 1990)}, 512, Policy::kBinpack);
  // Largest first, then by name: beta has the place, the small one the rest.
  EXPECT_FALSE(report.survives_largest_host_loss);
  EXPECT_THAT(report.stranded_tenants, ElementsAre("zeta"));
}

TEST(LosingTheLargestHost, NamesThoseThatWouldBeStrandedInTheOrderOfTheirNames) {
  HostView large = Host("h1", 8192);
  large.Take({"zeta", 3000, ""}, kFirstPort);
  large.Take({"beta", 2000, ""}, kFirstPort + 1);
  EXPECT_THAT(Capacity({large}, 512, Policy::kBinpack).stranded_tenants,
              ElementsAre("beta", "zeta"));
}

TEST(LosingTheLargestHost, KeepsTenantsOfOneGroupApartOnTheOthersToo) {
  HostView large = Host("h1", 8192);
  large.Take({"acme-1", 2000, "client=acme"}, kFirstPort);
  HostView other = Host("h2", 8192);
  other.Take({"acme-2", 500, "client=acme"}, kFirstPort);
  EXPECT_THAT(Capacity({large, other}, 512, Policy::kBinpack).stranded_tenants,
              ElementsAre("acme-1"));
}

TEST(LosingTheLargestHost, CountsTheMostReservedAndThenTheFirstName) {
  EXPECT_EQ(Capacity({HostWith("h2", 8192, 700), HostWith("h1", 4096, 700), Host("h3", 90'000)},
                     512, Policy::kBinpack)
                .largest_host,
            "h1");
}

TEST(LosingTheLargestHost, StrandsEveryoneWhenItIsTheOnlyOne) {
  const CapacityReport report = Capacity({HostWith("h1", 4096, 700)}, 512, Policy::kBinpack);
  EXPECT_FALSE(report.survives_largest_host_loss);
  EXPECT_THAT(report.stranded_tenants, ElementsAre("h1-tenant"));
}

TEST(LosingTheLargestHost, MeansNothingInAnEmptyFleet) {
  const CapacityReport report = Capacity({}, 512, Policy::kBinpack);
  EXPECT_EQ(report.largest_host, "");
  EXPECT_EQ(report.more_tenants, 0);
}

}  // namespace
}  // namespace mtp::scheduler
