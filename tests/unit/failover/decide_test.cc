#include "controller/failover/decide.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/seeded_random.h"

namespace mtp::failover {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kNow = absl::Hours(10);

HostLife Heard(const std::string& name) { return {name}; }
HostLife Lost(const std::string& name, absl::Duration silent = absl::Minutes(2)) {
  return {name, /*heard=*/false, kNow - silent, /*lease_over=*/true};
}
HostLife Silent(const std::string& name) {
  return {name, /*heard=*/false, kNow - absl::Seconds(20), /*lease_over=*/false};
}
Placed Tenant(const std::string& name, const std::string& host) {
  Placed tenant;
  tenant.tenant = name;
  tenant.host = host;
  tenant.may_fail_over = tenant.leased = true;
  tenant.backup = "backup-of-" + name;
  return tenant;
}
std::vector<std::string> Moved(const Decision& decision) {
  std::vector<std::string> names;
  for (const Move& move : decision.moves) names.push_back(move.tenant);
  return names;
}
// The only reason.
std::string Reason(const std::vector<HostLife>& hosts, const Placed& tenant) {
  const Decision decision = Decide(hosts, {tenant}, kNow);
  EXPECT_THAT(decision.moves, IsEmpty());
  return decision.held.size() == 1 ? decision.held[0].reason : "";
}

TEST(Failover, TenantsOfALostHostAreMovedWithTheirBackups) {
  const Decision decision =
      Decide({Lost("h1"), Heard("h2")}, {Tenant("beta", "h1"), Tenant("acme", "h1")}, kNow);
  ASSERT_THAT(Moved(decision), ElementsAre("acme", "beta"));
  EXPECT_EQ(decision.moves[0].from, "h1");
  EXPECT_EQ(decision.moves[0].backup, "backup-of-acme");
  EXPECT_THAT(decision.held, IsEmpty());
}

TEST(Failover, TenantsOfHostsThatAreHeardAreNobodysBusiness) {
  const Decision decision = Decide({Lost("h1"), Heard("h2")}, {Tenant("acme", "h2")}, kNow);
  EXPECT_THAT(decision.moves, IsEmpty());
  EXPECT_THAT(decision.held, IsEmpty());
}

TEST(Failover, NothingIsMovedBeforeTheLeaseIsOver) {
  EXPECT_THAT(Reason({Silent("h1"), Heard("h2")}, Tenant("acme", "h1")), HasSubstr("lease"));
}

TEST(Failover, OneThatStaysNeverMoves) {
  Placed tenant = Tenant("acme", "h1");
  tenant.may_fail_over = false;
  EXPECT_THAT(Reason({Lost("h1"), Heard("h2")}, tenant), HasSubstr("mtp-cli tenant failover acme"));
}

TEST(Failover, APolicyThatTheHostHasNotConfirmedMovesNothing) {
  Placed tenant = Tenant("acme", "h1");
  tenant.leased = false;
  EXPECT_THAT(Reason({Lost("h1"), Heard("h2")}, tenant), HasSubstr("has not confirmed"));
}

TEST(Failover, EachObstacleHasItsWords) {
  const std::vector<HostLife> hosts = {Lost("h1"), Heard("h2")};
  Placed pinned = Tenant("acme", "h1");
  pinned.asks_for_host = true;
  EXPECT_THAT(Reason(hosts, pinned), HasSubstr("mtp-cli tenant failover acme --host NAME"));
  Placed stopped = Tenant("acme", "h1");
  stopped.wanted = false;
  EXPECT_THAT(Reason(hosts, stopped), HasSubstr("stopped"));
  Placed bare = Tenant("acme", "h1");
  bare.backup.clear();
  EXPECT_THAT(Reason(hosts, bare), HasSubstr("no backup"));
  Placed tried = Tenant("acme", "h1");
  tried.not_before = kNow + absl::Minutes(1);
  EXPECT_THAT(Reason(hosts, tried), HasSubstr("the last try failed"));
  tried.not_before = kNow;
  EXPECT_THAT(Moved(Decide(hosts, {tried}, kNow)), ElementsAre("acme"));
}

TEST(Failover, AnOperationInTheWayMayBeCalledOffOnlyWhereNothingElseIs) {
  Placed busy = Tenant("acme", "h1");
  busy.busy = "backup";
  const Decision decision = Decide({Lost("h1"), Heard("h2")}, {busy}, kNow);
  ASSERT_THAT(decision.held, SizeIs(1));
  EXPECT_THAT(decision.held[0].reason, HasSubstr("backup"));
  EXPECT_TRUE(decision.held[0].busy);
  EXPECT_FALSE(Decide({Silent("h1"), Heard("h2")}, {busy}, kNow).held.at(0).busy);
  EXPECT_FALSE(Decide({Lost("h1"), Lost("h2")}, {busy}, kNow).held.at(0).busy);
  Placed stopped = busy;
  stopped.wanted = false;
  EXPECT_FALSE(Decide({Lost("h1"), Heard("h2")}, {stopped}, kNow).held.at(0).busy);
  Placed pinned = busy;
  pinned.asks_for_host = true;
  EXPECT_FALSE(Decide({Lost("h1"), Heard("h2")}, {pinned}, kNow).held.at(0).busy);
  busy.may_fail_over = false;
  EXPECT_FALSE(Decide({Lost("h1"), Heard("h2")}, {busy}, kNow).held.at(0).busy);
}

TEST(Freeze, NeedsTwoHostsAndAThirdOfThem) {
  EXPECT_THAT(Frozen({Lost("h1"), Heard("h2")}), IsEmpty());
  EXPECT_THAT(Frozen({Lost("h1")}), IsEmpty());
  EXPECT_THAT(Frozen({Lost("h1"), Lost("h2")}), ElementsAre("h1", "h2"));
  std::vector<HostLife> hosts = {Lost("h1"), Lost("h2"), Heard("h3"), Heard("h4"), Heard("h5")};
  EXPECT_THAT(Frozen(hosts), SizeIs(2));
  hosts.push_back(Heard("h6"));
  EXPECT_THAT(Frozen(hosts), SizeIs(2));  // just a third
  hosts.push_back(Heard("h7"));
  EXPECT_THAT(Frozen(hosts), IsEmpty());
}

TEST(Freeze, CountsHostsWhoseLeaseIsNotOverYet) {
  EXPECT_THAT(Frozen({Lost("h1"), Silent("h2"), Heard("h3")}), ElementsAre("h1", "h2"));
  EXPECT_THAT(Reason({Lost("h1"), Silent("h2"), Heard("h3")}, Tenant("acme", "h1")),
              HasSubstr("vanished together"));
}

TEST(Freeze, OneThatIsLongGoneIsNoReason) {
  EXPECT_THAT(Frozen({Lost("h1", absl::Hours(5)), Lost("h2"), Heard("h3")}), IsEmpty());
  EXPECT_THAT(Moved(Decide({Lost("h1", absl::Hours(5)), Lost("h2"), Heard("h3")},
                           {Tenant("acme", "h2")}, kNow)),
              ElementsAre("acme"));
}

TEST(Freeze, EndsWhenTheOthersAreBack) {
  EXPECT_THAT(Moved(Decide({Lost("h1"), Heard("h2"), Heard("h3")}, {Tenant("acme", "h1")}, kNow)),
              ElementsAre("acme"));
}

// Whatever the fleet: what must never be moved is not, and the order does not matter.
TEST(Failover, HoldsItsPromisesInRandomFleets) {
  mtp::testing::SeededRandom random(7);
  int moves = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<HostLife> hosts;
    const uint64_t count = 1 + random.Below(7);
    for (uint64_t i = 0; i < count; ++i) {
      HostLife host = Heard(absl::StrCat("h", i));
      host.heard = random.Below(3) > 0;
      host.silent_since = kNow - absl::Seconds(static_cast<int64_t>(random.Below(3000)));
      host.lease_over = !host.heard && random.Below(3) > 0;
      hosts.push_back(host);
    }
    std::vector<Placed> tenants;
    for (uint64_t i = 0; i < 5; ++i) {
      Placed tenant = Tenant(absl::StrCat("t", i), absl::StrCat("h", random.Below(count)));
      tenant.may_fail_over = random.Below(4) > 0;
      tenant.asks_for_host = random.Below(6) == 0;
      tenant.leased = random.Below(4) > 0;
      tenant.wanted = random.Below(6) > 0;
      if (random.Below(6) == 0) tenant.busy = "backup";
      if (random.Below(6) == 0) tenant.backup.clear();
      tenants.push_back(tenant);
    }
    const Decision decision = Decide(hosts, tenants, kNow);
    for (const Move& move : decision.moves) {
      ++moves;
      const auto tenant = std::find_if(tenants.begin(), tenants.end(),
                                       [&](const Placed& t) { return t.tenant == move.tenant; });
      const auto host = std::find_if(hosts.begin(), hosts.end(),
                                     [&](const HostLife& h) { return h.name == move.from; });
      EXPECT_TRUE(tenant->may_fail_over && tenant->leased && tenant->wanted);
      EXPECT_FALSE(tenant->asks_for_host);
      EXPECT_TRUE(tenant->busy.empty() && !tenant->backup.empty());
      EXPECT_TRUE(!host->heard && host->lease_over);
      const auto gone = [&](const HostLife& h) {
        return !h.heard && absl::AbsDuration(h.silent_since - host->silent_since) <= kTogether;
      };
      const auto together = std::count_if(hosts.begin(), hosts.end(), gone);
      EXPECT_TRUE(together < 2 || 3 * together < static_cast<int64_t>(count));
    }
    std::reverse(hosts.begin(), hosts.end());
    std::reverse(tenants.begin(), tenants.end());
    EXPECT_EQ(Moved(Decide(hosts, tenants, kNow)), Moved(decision));
  }
  EXPECT_GT(moves, 100);
}

}  // namespace
}  // namespace mtp::failover
