// Leases on two clocks that know nothing of each other: an agent's, as it would act on what it is
// granted, and the controller's.
#include "controller/failover/lease_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "common/base/durations.h"
#include "common/kv/sqlite_store.h"
#include "tests/support/sim_clock.h"

namespace mtp::failover {
namespace {

constexpr absl::Duration kLease = absl::Seconds(60);
constexpr absl::Duration kMargin = absl::Seconds(10);

class LeaseBookTest : public ::testing::Test {
 protected:
  LeaseBookTest() {
    agent_clock_.Advance(absl::Hours(500));  // its machine has been up for longer
    Place("acme", "h1", 3);
    Place("beta", "h2", 1);
    NewLife();
  }
  void Place(const std::string& tenant, const std::string& host, int64_t epoch) {
    const Tables tables(store_.get());
    kv::Txn txn;
    state::v1::HostRecord record;
    record.set_name(host);
    tables.hosts.Put(txn, host, record);
    auto allocations = tables.allocations.Get(host);
    state::v1::AllocationsRecord reserved;
    if (allocations.ok()) reserved = allocations->value;
    reserved.add_allocations()->set_tenant(tenant);
    tables.allocations.Put(txn, host, reserved);
    state::v1::TenantRecord placed;
    placed.set_name(tenant);
    placed.set_host(host);
    placed.set_epoch(epoch);
    tables.tenants.Put(txn, tenant, placed);
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  void NewLife(absl::Duration lease = kLease) {
    book_ = std::make_unique<LeaseBook>(store_.get(), &clock_,
                                        LeaseBook::Options{.lease = lease, .margin = kMargin});
    ASSERT_TRUE(book_->Open().ok());
  }
  void Pass(absl::Duration duration) {
    clock_.Advance(duration);
    agent_clock_.Advance(duration);
  }
  v1::LeaseStamp Stamp(const std::string& instance = "one") {
    v1::LeaseStamp stamp;
    stamp.set_agent_instance(instance);
    *stamp.mutable_boot_time() = ToDuration(agent_clock_.Boottime());
    return stamp;
  }
  // When the agent would end what runs under that grant, on its clock.
  static absl::Duration End(const v1::GrantLeaseRequest& grant) {
    return FromDuration(grant.stamp().boot_time()) + FromDuration(grant.duration());
  }
  void WaitUntilNoEarlierLifeCounts() { Pass(kLease + kMargin); }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  mtp::testing::SimClock clock_;
  mtp::testing::SimClock agent_clock_;
  std::unique_ptr<LeaseBook> book_;
};

TEST_F(LeaseBookTest, AGrantNamesTheTenantsThatArePlacedThere) {
  const auto grant = book_->OnStamp("h1", Stamp());
  ASSERT_TRUE(grant.has_value());
  ASSERT_EQ(grant->tenants_size(), 1);
  EXPECT_EQ(grant->tenants(0).tenant(), "acme");
  EXPECT_EQ(grant->tenants(0).epoch(), 3);
  EXPECT_EQ(FromDuration(grant->duration()), kLease);
  EXPECT_EQ(grant->stamp().agent_instance(), "one");
}

TEST_F(LeaseBookTest, ATenantThatIsPlacedElsewhereIsNotNamedThoughItsOldHostReservesForIt) {
  Place("acme", "h2", 4);
  EXPECT_EQ(book_->OnStamp("h1", Stamp())->tenants_size(), 0);
  EXPECT_EQ(book_->OnStamp("h2", Stamp())->tenants_size(), 2);
}

TEST_F(LeaseBookTest, GrantsAreNotMadeForEachEvent) {
  EXPECT_TRUE(book_->OnStamp("h1", Stamp()).has_value());
  Pass(absl::Seconds(3));
  EXPECT_FALSE(book_->OnStamp("h1", Stamp()).has_value());
  EXPECT_TRUE(book_->OnStamp("h1", Stamp("another life")).has_value());
  Pass(absl::Seconds(4));
  EXPECT_TRUE(book_->OnStamp("h1", Stamp("another life")).has_value());
}

TEST_F(LeaseBookTest, NobodyIsGrantedWhoDoesNotStampOrIsNotInTheFleet) {
  EXPECT_FALSE(book_->OnStamp("h1", v1::LeaseStamp()).has_value());
  EXPECT_FALSE(book_->OnStamp("stranger", Stamp()).has_value());
}

TEST_F(LeaseBookTest, TheHostEndsBeforeTheControllerCountsItAsOver) {
  WaitUntilNoEarlierLifeCounts();
  const v1::LeaseStamp stamp = Stamp();
  Pass(absl::Seconds(7));  // the event is late
  const auto grant = book_->OnStamp("h1", stamp);
  ASSERT_TRUE(grant.has_value());
  for (int second = 0; second < 70; ++second) {
    const bool runs = agent_clock_.Boottime() < End(*grant);
    EXPECT_FALSE(runs && book_->IsOver("h1")) << second;
    EXPECT_FALSE(book_->IsOver("h1")) << second;
    Pass(absl::Seconds(1));
  }
  EXPECT_TRUE(book_->IsOver("h1"));
  EXPECT_EQ(book_->OverAt("h1"), clock_.Boottime());
}

TEST_F(LeaseBookTest, ASleepOfEitherSideEndsNothingTooEarly) {
  WaitUntilNoEarlierLifeCounts();
  const auto grant = book_->OnStamp("h1", Stamp());
  // The controller's machine sleeps: it must not find the lease longer than it is, and the time
  // that passed counts.
  clock_.Sleep(absl::Seconds(69));
  agent_clock_.Advance(absl::Seconds(69));
  EXPECT_FALSE(book_->IsOver("h1"));
  EXPECT_LT(End(*grant), agent_clock_.Boottime());
  clock_.Sleep(absl::Seconds(1));
  EXPECT_TRUE(book_->IsOver("h1"));
}

TEST_F(LeaseBookTest, TheHostsSleepCountsForTheHost) {
  const auto grant = book_->OnStamp("h1", Stamp());
  agent_clock_.Sleep(absl::Seconds(61));
  EXPECT_GT(agent_clock_.Boottime(), End(*grant));
}

TEST_F(LeaseBookTest, TheWallClockMeansNothing) {
  WaitUntilNoEarlierLifeCounts();
  book_->OnStamp("h1", Stamp());
  clock_.JumpWall(absl::Hours(24));
  EXPECT_FALSE(book_->IsOver("h1"));
}

TEST_F(LeaseBookTest, ANewLifeWaitsForWhatAnEarlierOneMayHaveGranted) {
  WaitUntilNoEarlierLifeCounts();
  EXPECT_TRUE(book_->IsOver("h1"));
  book_->OnStamp("h1", Stamp());
  NewLife();
  Pass(kLease + kMargin - absl::Seconds(1));
  EXPECT_FALSE(book_->IsOver("h1"));
  Pass(absl::Seconds(1));
  EXPECT_TRUE(book_->IsOver("h1"));
}

TEST_F(LeaseBookTest, AShorterLeaseInTheSettingsDoesNotShortenWhatWasGranted) {
  NewLife(absl::Minutes(10));
  NewLife(kLease);
  Pass(absl::Minutes(10));
  EXPECT_FALSE(book_->IsOver("h1"));
  Pass(kMargin);
  EXPECT_TRUE(book_->IsOver("h1"));
}

TEST_F(LeaseBookTest, BeforeItIsOpenNothingIsGrantedAndNothingIsOver) {
  LeaseBook closed(store_.get(), &clock_, {});
  Pass(absl::Hours(1));
  EXPECT_FALSE(closed.OnStamp("h1", Stamp()).has_value());
  EXPECT_FALSE(closed.IsOver("h1"));
  EXPECT_EQ(closed.OverAt("h1"), absl::InfiniteDuration());
}

TEST_F(LeaseBookTest, ItKnowsWhenAHostWasLastHeard) {
  const absl::Duration begin = clock_.Boottime();
  EXPECT_EQ(book_->LastHeard("h1"), begin);
  Pass(absl::Seconds(5));
  book_->OnStamp("h1", Stamp());
  Pass(absl::Seconds(5));
  EXPECT_EQ(book_->LastHeard("h1"), begin + absl::Seconds(5));
}

TEST_F(LeaseBookTest, WhatIsCommittedWhileNothingIsGrantedIsInTheNextGrant) {
  WaitUntilNoEarlierLifeCounts();
  bool over = false;
  const auto done = book_->WhileNothingIsGranted("h1", [&](bool is_over) {
    over = is_over;
    Place("acme", "h2", 4);
    return absl::StatusOr<v1::Operation>(v1::Operation());
  });
  EXPECT_TRUE(done.ok());
  EXPECT_TRUE(over);
  EXPECT_EQ(book_->OnStamp("h1", Stamp())->tenants_size(), 0);
}

}  // namespace
}  // namespace mtp::failover
