#include "agent/lease/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "common/base/atomic_file.h"
#include "common/base/durations.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

constexpr absl::Duration kLease = absl::Seconds(60);

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() {
    clock_.Advance(absl::Hours(3));
    NewLife();
  }
  void NewLife(const std::string& boot = "boot") {
    lease_ = std::make_unique<Lease>(Lease::Options{.folder = folder_.path() + "/guard",
                                                    .boot_id = boot,
                                                    .guard_lives = [this] { return guard_lives_; }},
                                     &clock_, &random_);
    ASSERT_TRUE(lease_->Open().ok());
  }
  v1::GrantLeaseRequest Request(const v1::LeaseStamp& stamp) {
    v1::GrantLeaseRequest request;
    *request.mutable_stamp() = stamp;
    *request.mutable_duration() = ToDuration(kLease);
    v1::LeasedTenant& tenant = *request.add_tenants();
    tenant.set_tenant("acme");
    tenant.set_epoch(5);
    return request;
  }
  void Grant() { ASSERT_TRUE(lease_->Grant(Request(lease_->Stamp())).ok()); }
  guard::Lease InFile() {
    const auto content =
        ReadFile(folder_.path() + "/guard/" + guard::kLeaseFile, guard::kSlots * guard::kSlotBytes);
    return content.ok() ? guard::DecodeFile(*content).value_or(guard::Lease()) : guard::Lease();
  }
  bool MayStart(int64_t epoch = 5) { return lease_->MayStart("acme", epoch).ok(); }

  mtp::testing::TempFolder folder_;
  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{3};
  bool guard_lives_ = true;
  std::unique_ptr<Lease> lease_;
};

TEST_F(LeaseTest, WithoutAGrantNothingMayStartAndWhatRunsMustStop) {
  EXPECT_TRUE(absl::IsUnavailable(lease_->MayStart("acme", 5)));
  EXPECT_TRUE(lease_->MustStop("acme", 5));
  EXPECT_FALSE(lease_->IsGood());
}

TEST_F(LeaseTest, AGrantCountsFromItsStamp) {
  const v1::LeaseStamp stamp = lease_->Stamp();
  clock_.Advance(absl::Seconds(20));
  ASSERT_TRUE(lease_->Grant(Request(stamp)).ok());
  EXPECT_EQ(lease_->Left(), absl::Seconds(40));
  EXPECT_TRUE(MayStart());
  EXPECT_EQ(absl::Nanoseconds(InFile().deadline_ns), clock_.Boottime() + absl::Seconds(40));
}

TEST_F(LeaseTest, AGrantThatWasUnderWayForTooLongIsWorthNothing) {
  const v1::LeaseStamp stamp = lease_->Stamp();
  clock_.Advance(absl::Seconds(61));
  ASSERT_TRUE(lease_->Grant(Request(stamp)).ok());
  EXPECT_FALSE(MayStart());
  EXPECT_TRUE(lease_->MustStop("acme", 5));
}

TEST_F(LeaseTest, AnEarlierStampChangesNothingAnyMore) {
  const v1::LeaseStamp early = lease_->Stamp();
  clock_.Advance(absl::Seconds(5));
  Grant();
  v1::GrantLeaseRequest late = Request(early);
  late.clear_tenants();
  ASSERT_TRUE(lease_->Grant(late).ok());
  EXPECT_EQ(lease_->Left(), kLease);
  EXPECT_TRUE(MayStart());
}

TEST_F(LeaseTest, ItEndsWithTheBootClockAlone) {
  Grant();
  clock_.JumpWall(absl::Hours(24));
  EXPECT_TRUE(MayStart());
  clock_.Sleep(absl::Seconds(60));  // the monotonic clock stands still meanwhile
  EXPECT_FALSE(MayStart());
  EXPECT_TRUE(lease_->MustStop("acme", 5));
}

TEST_F(LeaseTest, TheLastPartIsForAnOrderlyStop) {
  Grant();
  clock_.Advance(absl::Seconds(49));
  EXPECT_FALSE(lease_->MustStop("acme", 5));
  EXPECT_TRUE(lease_->IsGood());
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(lease_->MustStop("acme", 5));
  EXPECT_FALSE(lease_->IsGood());
}

TEST_F(LeaseTest, OnlyTenantsThatAreNamedMayRunAndNoneOfAnEarlierPlacement) {
  Grant();
  EXPECT_TRUE(absl::IsUnavailable(lease_->MayStart("beta", 1)));
  EXPECT_TRUE(lease_->MustStop("beta", 1));
  EXPECT_TRUE(MayStart(4));  // the placement was confirmed with a higher epoch
  EXPECT_FALSE(MayStart(6));
}

TEST_F(LeaseTest, WithoutTheGuardNothingIsStartedButWhatRunsGoesOn) {
  Grant();
  guard_lives_ = false;
  const absl::Status status = lease_->MayStart("acme", 5);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("start mtp-guard"));
  EXPECT_FALSE(lease_->MustStop("acme", 5));
}

TEST_F(LeaseTest, ANewLifeGoesOnWithTheLeaseAndStartsNothingBeforeItIsGrantedAnew) {
  Grant();
  ASSERT_TRUE(lease_->Cover("acme", "id-1").ok());
  const v1::LeaseStamp before = lease_->Stamp();
  NewLife();
  EXPECT_EQ(lease_->Left(), kLease);
  EXPECT_FALSE(lease_->MustStop("acme", 5));
  EXPECT_TRUE(lease_->IsCovered("acme", "id-1"));
  EXPECT_TRUE(absl::IsUnavailable(lease_->MayStart("acme", 5)));
  EXPECT_TRUE(absl::IsFailedPrecondition(lease_->Grant(Request(before))));
  Grant();
  EXPECT_TRUE(MayStart());
}

TEST_F(LeaseTest, ALeaseOfAnotherBootIsNone) {
  Grant();
  NewLife("another-boot");
  EXPECT_TRUE(lease_->MustStop("acme", 5));
  EXPECT_LE(lease_->Left(), absl::ZeroDuration());
}

TEST_F(LeaseTest, TheGuardIsToldOfAContainerBeforeAndForgetsTheOneThatItReplaces) {
  ASSERT_TRUE(lease_->Cover("acme", "id-1").ok());
  ASSERT_TRUE(lease_->Cover("beta", "id-2").ok());
  ASSERT_TRUE(lease_->Cover("acme", "id-3").ok());
  EXPECT_THAT(InFile().containers, ::testing::ElementsAre(::testing::Pair("id-2", "beta"),
                                                          ::testing::Pair("id-3", "acme")));
  ASSERT_TRUE(lease_->Release("beta").ok());
  EXPECT_EQ(InFile().containers.size(), 1);
  EXPECT_EQ(InFile().boot_id, "boot");
}

TEST_F(LeaseTest, WhatMakesNoSenseIsRefused) {
  v1::GrantLeaseRequest request = Request(lease_->Stamp());
  *request.mutable_stamp()->mutable_boot_time() =
      ToDuration(clock_.Boottime() + absl::Milliseconds(1));
  EXPECT_TRUE(absl::IsInvalidArgument(lease_->Grant(request)));
  request = Request(lease_->Stamp());
  *request.mutable_duration() = ToDuration(absl::Hours(2));
  EXPECT_TRUE(absl::IsInvalidArgument(lease_->Grant(request)));
  EXPECT_FALSE(lease_->IsGood());
}

TEST_F(LeaseTest, ATornFileLeavesTheGrantBefore) {
  Grant();
  clock_.Advance(absl::Seconds(5));
  Grant();
  const guard::Lease last = InFile();
  const std::string path = folder_.path() + "/guard/" + guard::kLeaseFile;
  std::string content = *ReadFile(path, guard::kSlots * guard::kSlotBytes);
  content.replace(last.number % guard::kSlots * guard::kSlotBytes, 10, "0123456789");
  ASSERT_TRUE(WriteFileAtomically(path, content, 0600).ok());
  NewLife();
  EXPECT_EQ(lease_->Left(), absl::Seconds(55));
}

}  // namespace
}  // namespace mtp
