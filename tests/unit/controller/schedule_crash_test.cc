// The schedule's process dies before and after every commit, and the disk fills up: nothing is
// lost and nothing is done twice.
#include <gmock/gmock.h>

#include "tests/unit/controller/schedule_fixture.h"

namespace mtp {
namespace {

using mtp::testing::CommitFault;

constexpr absl::Duration kDay = absl::Hours(24);
// More commits than there are in the time that is looked at.
constexpr int kMostCommits = 200;

class ScheduleCrash : public ScheduleFixture {
 protected:
  ScheduleCrash() {
    Fleet(2);
    AddRepository();
  }
};

class ScheduleDies : public ScheduleCrash, public ::testing::WithParamInterface<CommitFault> {};

TEST_P(ScheduleDies, OneBackupForEachMomentWhereverItDies) {
  // Taken up before the first death: until then there is nothing to be missed.
  Live();
  Run(absl::Minutes(1));
  Die();
  int done = 0;
  int deaths = 0;
  for (int nth = 0; nth < kMostCommits; ++nth) {
    Live();
    int commits = 0;
    life_->store.choose_fault = [&](const kv::Txn&) {
      return commits++ == nth ? GetParam() : CommitFault::kNone;
    };
    Run(kDay / 2);  // past the window
    const bool died = life_->store.crashed();
    Die();
    deaths += died ? 1 : 0;
    Live();
    Run(absl::Minutes(30));
    Die();
    done += 2;
    ASSERT_EQ(Snapshots(), done) << "died at commit " << nth;
    if (!died) break;
    clock_.Advance(kDay / 2 - absl::Minutes(30));
  }
  EXPECT_GE(deaths, 12);
  EXPECT_LT(deaths, kMostCommits);
}

INSTANTIATE_TEST_SUITE_P(Before, ScheduleDies, ::testing::Values(CommitFault::kCrashBefore));
INSTANTIATE_TEST_SUITE_P(After, ScheduleDies, ::testing::Values(CommitFault::kCrashAfter));

TEST_F(ScheduleCrash, AFullDiskIsSatOut) {
  bool full = true;
  Live();
  life_->store.choose_fault = [&](const kv::Txn&) {
    return full ? CommitFault::kDiskFull : CommitFault::kNone;
  };
  Run(kDay);
  EXPECT_EQ(Snapshots(), 0);
  EXPECT_THAT(told_, ::testing::ElementsAre("schedules: the disk is full"));
  full = false;
  Run(kDay);
  EXPECT_EQ(Snapshots(), 2);
  full = true;
  Run(2 * kDay);
  EXPECT_EQ(Snapshots(), 2);
  full = false;
  Run(absl::Minutes(30));
  EXPECT_EQ(Snapshots(), 4);
}

// The operation is there and its note is not.
TEST_F(ScheduleCrash, FindsWhatItBegan) {
  Live();
  life_->store.choose_fault = [&](const kv::Txn& txn) {
    for (const auto& [key, value] : txn.puts) {
      if (key == tables_.schedules.Key("t0") && tables_.schedules.Get("t0").ok()) {
        return CommitFault::kCrashBefore;
      }
    }
    return CommitFault::kNone;
  };
  Run(kDay);
  ASSERT_TRUE(life_->store.crashed());
  ASSERT_EQ(Record("t0").backup_operation(), "");
  Die();
  // Into another repository now, so that the same request is another one.
  AddRepository("other");
  v1::BackupPolicy policy;
  policy.set_repository("other");
  ASSERT_TRUE(SetPolicy(policy).ok());
  Live();
  Run(absl::Minutes(30));
  EXPECT_EQ(SnapshotsOf("t0"), 1);
}

}  // namespace
}  // namespace mtp
