// Retention by itself: what policies do not keep goes, and nothing else.
#include <gmock/gmock.h>

#include "tests/unit/controller/schedule_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::IsEmpty;

constexpr absl::Duration kDay = absl::Hours(24);

class ScheduleRetention : public ScheduleFixture {
 protected:
  ScheduleRetention() {
    Provision("acme");
    AddRepository();
    agents_.outcomes[Act::kForget] = {
        v1::ACTION_STATE_DONE, absl::OkStatus(), {{"removed", "1"}, {"freed_bytes", "10"}}};
    // Backups hold the moment at which they are made.
    agents_.on_begin = [this](const Act& request) {
      if (request.has_snapshot()) Dated();
    };
  }
  void Dated() {
    agents_.outcomes[Act::kSnapshot].result["start_time"] =
        absl::FormatTime(absl::RFC3339_full, clock_.Now(), absl::UTCTimeZone());
  }
  void Keeps(int last, int days, const std::string& tenant = "") {
    v1::BackupPolicy policy;
    policy.set_keep_last(last);
    policy.set_keep_days(days);
    ASSERT_TRUE(SetPolicy(policy, tenant).ok());
  }
  size_t Kept(const std::string& tenant = "acme") {
    return backups_.List("tenants/" + tenant)->size();
  }
};

TEST_F(ScheduleRetention, KeepsAsManyAsThePolicySays) {
  Keeps(3, 1);
  Live();
  Run(10 * kDay);
  EXPECT_EQ(Snapshots(), 10);
  EXPECT_EQ(Kept(), 3);
  EXPECT_EQ(agents_.Count(Act::kForget), 7);
}

TEST_F(ScheduleRetention, KeepsThoseOfSoManyDays) {
  Keeps(1, 5);
  Live();
  Run(20 * kDay);
  EXPECT_EQ(Kept(), 6);  // that of five days ago, to the second, is one of them
}

TEST_F(ScheduleRetention, GoesByTheTenantsOwnPolicy) {
  Keeps(1, 1);
  Keeps(4, 1, "acme");
  Live();
  Run(10 * kDay);
  EXPECT_EQ(Kept(), 4);
}

TEST_F(ScheduleRetention, RemovesNothingWhileBackupsFail) {
  Keeps(5, 1);
  Live();
  Run(5 * kDay);
  ASSERT_EQ(Kept(), 5);
  Fails();
  Run(absl::Hours(6));
  ASSERT_EQ(Snapshots(), 8);
  Keeps(2, 1);
  Run(10 * kDay);
  EXPECT_EQ(Kept(), 5);
}

TEST_F(ScheduleRetention, RemovesWhatIsOldOfTenantsThatAreGoneButNeverTheLast) {
  Keeps(2, 3);
  for (int i = 0; i < 5; ++i) {
    Dated();
    BackUp("acme");
  }
  Remove("acme");
  const size_t before = Kept();
  ASSERT_GE(before, 5);
  Live();
  Run(2 * kDay);
  EXPECT_EQ(Kept(), before);
  Run(3 * kDay);
  EXPECT_EQ(Kept(), 2);
  Run(40 * kDay);
  EXPECT_EQ(Kept(), 2);
}

TEST_F(ScheduleRetention, RemovesNothingUnderAPolicyThatIsOff) {
  for (int i = 0; i < 3; ++i) BackUp("acme");
  Remove("acme");
  const size_t before = Kept();
  v1::BackupPolicy policy;
  policy.set_keep_last(1);
  policy.set_keep_days(1);
  policy.set_off(true);
  ASSERT_TRUE(SetPolicy(policy).ok());
  Live();
  Run(10 * kDay);
  EXPECT_EQ(Kept(), before);
}

TEST_F(ScheduleRetention, ADeathAfterTheBackupLeavesItToTheNextDay) {
  Keeps(1, 1);
  Live();
  Run(kDay);
  ASSERT_EQ(Kept(), 1);
  GoesOn();
  while (Snapshots() == 1) Run(absl::Minutes(1));
  // It ends in a life of the engine without a schedule.
  life_->schedule->Stop();
  Dated();
  agents_.outcomes[Act::kSnapshot].state = v1::ACTION_STATE_DONE;
  EndBackups();
  Run(absl::Minutes(1));
  Die();
  ASSERT_EQ(Kept(), 2);
  clock_.Advance(absl::Hours(12));
  Live();
  Run(absl::Minutes(30));
  EXPECT_LE(Kept(), 2);
  Run(kDay);
  EXPECT_LE(Kept(), 2);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ScheduleRetention, TakesAwayWithinADayWhatACalledOffBackupHasLeft) {
  agents_.outcomes[Act::kSnapshot].state = v1::ACTION_STATE_RUNNING;
  const auto created = Create("acme");
  Run(absl::Minutes(1));
  agents_.away = {"h1"};
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  Run(absl::Minutes(1));
  agents_.away.clear();
  EndBackups();
  agents_.outcomes[Act::kSnapshot].state = v1::ACTION_STATE_DONE;
  ASSERT_TRUE(tables_.left_snapshots.Get(IdOf(*created)).ok());
  Remove("acme");
  Live();
  Run(kDay);
  EXPECT_THAT(agents_.Last(Act::kForget).request.forget().backup_ids(),
              ::testing::ElementsAre(IdOf(*created)));
  EXPECT_THAT(*tables_.left_snapshots.List(), IsEmpty());
}

TEST_F(ScheduleRetention, OneThatFailsIsMadeUpForTheNextDay) {
  Keeps(1, 1);
  Live();
  Run(2 * kDay);
  ASSERT_EQ(Kept(), 2);  // that of a day ago, to the second, is one of them
  agents_.outcomes[Act::kForget] = FakeAgents::Failed(absl::UnavailableError("away"));
  Run(kDay);
  EXPECT_EQ(Kept(), 3);
  agents_.outcomes[Act::kForget] = {
      v1::ACTION_STATE_DONE, absl::OkStatus(), {{"removed", "2"}, {"freed_bytes", "10"}}};
  Run(kDay);
  EXPECT_EQ(Kept(), 2);
}

}  // namespace
}  // namespace mtp
