// When scheduled backups are begun, and how many at once.
#include <gmock/gmock.h>

#include "tests/unit/controller/schedule_fixture.h"

namespace mtp {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kDay = absl::Hours(24);

class ScheduleTest : public ScheduleFixture {};

TEST_F(ScheduleTest, BacksUpOnceADayInTheWindow) {
  Provision("acme");
  AddRepository();
  Live();
  std::vector<absl::Duration> of_day;
  agents_.on_begin = [&](const Act& request) {
    if (request.has_snapshot()) of_day.push_back((clock_.Now() - absl::UnixEpoch()) % kDay);
  };
  Run(5 * kDay);
  ASSERT_THAT(of_day, SizeIs(5));
  for (const absl::Duration begun : of_day) {
    EXPECT_GE(begun, absl::Hours(1));
    EXPECT_LT(begun, absl::Hours(5));
  }
  const auto backups = backups_.List("tenants/acme");
  ASSERT_TRUE(backups.ok());
  ASSERT_THAT(*backups, SizeIs(5));
  EXPECT_EQ(backups->front().reason(), "scheduled");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ScheduleTest, ThoseByHandSaySo) {
  Provision("acme");
  AddRepository();
  BackUp("acme");
  EXPECT_EQ(backups_.List("")->front().reason(), "manual");
}

TEST_F(ScheduleTest, AFleetThatWasDownForTwoDaysRunsOnceForEachTenant) {
  Fleet(5);
  AddRepository();
  Live();
  Run(kDay);
  ASSERT_EQ(Snapshots(), 5);
  Die();
  clock_.Advance(2 * kDay);
  Live();
  Run(absl::Minutes(30));
  EXPECT_EQ(Snapshots(), 10);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(SnapshotsOf(absl::StrCat("t", i)), 2);
  Run(kDay);
  EXPECT_EQ(Snapshots(), 15);
}

// Down before its first due moment ever, so that no operation tells of it.
TEST_F(ScheduleTest, CatchesUpOnATenantThatWasNotBackedUpYet) {
  Provision("acme");
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  Die();
  ASSERT_EQ(Snapshots(), 0);
  clock_.Advance(2 * kDay);
  Live();
  Run(absl::Minutes(30));
  EXPECT_EQ(Snapshots(), 1);
}

TEST_F(ScheduleTest, NoStormWhenARepositoryIsAdded) {
  Fleet(5);
  Live();
  Run(3 * kDay);
  EXPECT_EQ(Snapshots(), 0);
  clock_.Advance(absl::Hours(12) - (clock_.Now() - absl::UnixEpoch()) % kDay);  // noon
  AddRepository();
  Run(absl::Hours(12));
  EXPECT_EQ(Snapshots(), 0);
  Run(absl::Hours(6));
  EXPECT_EQ(Snapshots(), 5);
}

TEST_F(ScheduleTest, NoStormWhenTheScheduleIsTurnedOnAgain) {
  Fleet(3);
  AddRepository();
  Live();
  Run(kDay + absl::Hours(12));
  const int before = Snapshots();
  v1::BackupPolicy off;
  off.set_off(true);
  ASSERT_TRUE(SetPolicy(off).ok());
  Run(10 * kDay);
  EXPECT_EQ(Snapshots(), before);
  ASSERT_TRUE(SetPolicy(v1::BackupPolicy()).ok());
  Run(absl::Hours(1));
  EXPECT_EQ(Snapshots(), before);
  Run(kDay);
  EXPECT_EQ(Snapshots(), before + 3);
}

TEST_F(ScheduleTest, NoStormWhenTheIntervalIsChanged) {
  Fleet(3);
  AddRepository();
  Live();
  Run(kDay + absl::Hours(23));
  const int before = Snapshots();
  ASSERT_TRUE(SetPolicy(Every(absl::Hours(12))).ok());
  Run(absl::Seconds(1));
  EXPECT_EQ(Snapshots(), before);
  Run(absl::Hours(12));
  EXPECT_EQ(Snapshots(), before + 3);
}

TEST_F(ScheduleTest, AtMostOneAtATimeOnAHostAndAFewOverTheFleet) {
  Fleet(12, /*per_host=*/2);
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  Die();
  clock_.Advance(2 * kDay);
  GoesOn();
  Live();
  for (int before = 0; before < 12; before = Snapshots()) {
    Run(absl::Seconds(1));
    ASSERT_GT(Snapshots(), before) << "nothing was begun when the others had ended";
    EXPECT_LE(Snapshots() - before, 4);
    std::map<std::string, int> begun;  // since the others had ended
    for (size_t i = agents_.begun().size() - (Snapshots() - before); i < agents_.begun().size();
         ++i) {
      EXPECT_EQ(++begun[agents_.begun()[i].host], 1);
    }
    // The ends alone, and no look at the clock, let the others begin.
    EndBackups();
    const auto locks = tables_.locks.List();
    ASSERT_TRUE(locks.ok());
    for (const auto& lock : *locks) life_->engine->Wake(lock.value.operation());
  }
  EXPECT_EQ(Snapshots(), 12);
}

TEST_F(ScheduleTest, OneBackupOnAHostIsWaitedForByTheOthers) {
  Fleet(2);
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  Die();
  clock_.Advance(2 * kDay);
  GoesOn();
  Live();
  Run(absl::Hours(3));
  EXPECT_EQ(Snapshots(), 1);
  EndBackups();
  Run(absl::Minutes(1));
  EXPECT_EQ(Snapshots(), 2);
}

TEST_F(ScheduleTest, ATenantThatIsHeldIsBackedUpLater) {
  Provision("acme");
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  // Longer than to the due moment.
  agents_.outcomes[Act::kStop] = mtp::testing::FakeAgents::Running();
  v1::StopTenantRequest request;
  request.set_name("tenants/acme");
  ASSERT_TRUE(life_->tenants->Stop(kCaller, request).ok());
  Run(absl::Hours(6));
  EXPECT_EQ(Snapshots(), 0);
  agents_.End(Act::kStop, {});
  Run(absl::Minutes(1));
  EXPECT_EQ(Snapshots(), 1);  // stopped as it is
}

TEST_F(ScheduleTest, AHostThatIsAwayIsWaitedForWithoutHoldingItsTenants) {
  Provision("acme");
  AddRepository();
  Live();
  observations_.Update("h1", [](HostObservation& seen) { seen.connected = false; });
  Run(2 * kDay);
  EXPECT_EQ(Snapshots(), 0);
  EXPECT_THAT(*tables_.locks.List(), IsEmpty());
  observations_.Update("h1", [](HostObservation& seen) { seen.connected = true; });
  Run(absl::Minutes(2));
  EXPECT_EQ(Snapshots(), 1);
}

TEST_F(ScheduleTest, BackupsThatWaitForHostsThatAreAwayDoNotKeepOthersFromTheirs) {
  Fleet(5, /*per_host=*/1);
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  Die();
  clock_.Advance(2 * kDay);
  agents_.away = {"h1", "h2", "h3", "h4"};  // gone right after they were seen
  Live();
  Run(absl::Minutes(1));
  for (const std::string& host : agents_.away) {
    observations_.Update(host, [](HostObservation& seen) { seen.connected = false; });
  }
  Run(absl::Minutes(11));
  EXPECT_EQ(SnapshotsOf("t4"), 1);
}

TEST_F(ScheduleTest, AFailedOneIsTriedAgainWithGrowingPausesAndNotForEver) {
  Provision("acme");
  AddRepository();
  Fails();
  std::vector<absl::Duration> begun;
  agents_.on_begin = [&](const Act& request) {
    if (request.has_snapshot()) begun.push_back(clock_.Monotonic());
  };
  Live();
  Run(absl::Hours(20));
  ASSERT_THAT(begun, SizeIs(3));
  EXPECT_GE(begun[1] - begun[0], absl::Minutes(5));
  EXPECT_GE(begun[2] - begun[1], absl::Minutes(20));
  EXPECT_THAT(Tenant("acme").backup_failure(), HasSubstr("the repository is away"));
  Works();
  Run(kDay);
  EXPECT_THAT(begun, SizeIs(4));
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
}

TEST_F(ScheduleTest, ARetrySurvivesARestart) {
  Provision("acme");
  AddRepository();
  Fails();
  Live();
  while (Snapshots() == 0) Run(absl::Minutes(1));
  Die();
  Works();
  Live();
  Run(absl::Minutes(10));
  EXPECT_EQ(Snapshots(), 2);
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
  Run(absl::Hours(10));
  EXPECT_EQ(Snapshots(), 2);
}

TEST_F(ScheduleTest, OneByHandThatSucceededMakesARetryNeedless) {
  Provision("acme");
  AddRepository();
  Fails();
  Live();
  while (Snapshots() == 0) Run(absl::Minutes(1));
  Works();
  BackUp("acme");
  ASSERT_EQ(Snapshots(), 2);
  Run(absl::Hours(10));
  EXPECT_EQ(Snapshots(), 2);
}

TEST_F(ScheduleTest, ACancelledOneIsNotTriedAgain) {
  Provision("acme");
  AddRepository();
  GoesOn();
  Live();
  while (Snapshots() == 0) Run(absl::Minutes(1));
  ASSERT_TRUE(life_->engine->Cancel(Record("acme").backup_operation()).ok());
  Run(absl::Hours(18));
  EXPECT_EQ(Snapshots(), 1);
}

TEST_F(ScheduleTest, JumpsOfTheWallClockNeitherLoseNorRepeatBackups) {
  Provision("acme");
  AddRepository();
  Live();
  Run(kDay);
  ASSERT_EQ(Snapshots(), 1);
  clock_.JumpWall(365 * kDay);
  Run(absl::Minutes(11));
  EXPECT_EQ(Snapshots(), 2);  // as after a year without the controller
  clock_.JumpWall(-365 * kDay);
  Run(2 * kDay);
  EXPECT_EQ(Snapshots(), 4);
  // Back to just before the moment that was seen to.
  clock_.JumpWall(-absl::Hours(24));
  Run(kDay);
  EXPECT_EQ(Snapshots(), 4);
  Run(kDay);
  EXPECT_EQ(Snapshots(), 5);
}

TEST_F(ScheduleTest, BacksUpIntoTheRepositoryOfThePolicy) {
  Provision("acme");
  AddRepository();
  AddRepository("other");
  v1::BackupPolicy policy;
  policy.set_repository("other");
  ASSERT_TRUE(SetPolicy(policy, "acme").ok());
  Live();
  Run(kDay);
  EXPECT_EQ(backups_.List("")->front().repository(), "other");
}

TEST_F(ScheduleTest, ABackupThatCannotBeBegunIsShownUntilOneSucceeds) {
  Provision("acme");
  AddRepository();
  AddRepository("other");
  v1::BackupPolicy policy;
  policy.set_repository("other");
  ASSERT_TRUE(SetPolicy(policy, "acme").ok());
  kv::Txn txn;
  txn.Delete(tables_.repositories.Key("other"));
  ASSERT_TRUE(store_->Commit(txn).ok());
  Live();
  Run(kDay);
  EXPECT_EQ(Snapshots(), 0);
  EXPECT_THAT(told_, ::testing::ElementsAre(HasSubstr("backup acme: ")));
  EXPECT_THAT(Tenant("acme").backup_failure(), HasSubstr("cannot be begun"));
  EXPECT_THAT(Tenant("acme").backup_failure(), HasSubstr("other"));
  const int64_t revision = tables_.tenants.Get("acme")->revision;
  Run(absl::Hours(1));
  EXPECT_EQ(tables_.tenants.Get("acme")->revision, revision) << "written once";
  AddRepository("other");
  Run(absl::Minutes(10));
  EXPECT_EQ(Snapshots(), 1);
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
}

TEST_F(ScheduleTest, PolicyAndRecordGoWithTheTenant) {
  Provision("acme");
  AddRepository();
  Live();
  ASSERT_TRUE(SetPolicy(Every(absl::Hours(6)), "acme").ok());
  Run(absl::Minutes(1));
  ASSERT_TRUE(Record("acme").has_backup_due());
  Die();
  Remove("acme");
  EXPECT_THAT(*tables_.policies.List(), IsEmpty());
  EXPECT_THAT(*tables_.schedules.List(), IsEmpty());
  Live();
  Run(2 * kDay);
  EXPECT_THAT(*tables_.schedules.List(), IsEmpty());
}

TEST_F(ScheduleTest, DrillsTheNewestBackupOfEachTenantOnceAMonth) {
  Fleet(3);
  AddRepository();
  Live();
  Run(31 * kDay);
  EXPECT_THAT(drills_, SizeIs(3));
  EXPECT_THAT(drills_, Contains(HasSubstr("t1 backups/")));
  Run(30 * kDay);
  EXPECT_THAT(drills_, SizeIs(6));
  EXPECT_THAT(drill_requests_, SizeIs(6));
}

TEST_F(ScheduleTest, ADrillThatCannotBeBegunIsTriedAgainAndToldOnce) {
  Provision("acme");
  AddRepository();
  drill_status_ = absl::ResourceExhaustedError("no room");
  Live();
  Run(31 * kDay);
  EXPECT_THAT(drills_, IsEmpty());
  EXPECT_THAT(told_, ::testing::ElementsAre("drill acme: no room"));
  drill_status_ = absl::OkStatus();
  Run(absl::Minutes(11));
  EXPECT_THAT(drills_, SizeIs(1));
}

TEST_F(ScheduleTest, NoDrillsWithoutWhatBeginsThemNorWhereThePolicySaysSo) {
  Provision("acme");
  AddRepository();
  v1::BackupPolicy policy;
  policy.mutable_drill_interval()->set_seconds(0);
  ASSERT_TRUE(SetPolicy(policy).ok());
  Live();
  Run(40 * kDay);
  EXPECT_THAT(drills_, IsEmpty());
  EXPECT_FALSE(Record("acme").has_drill_due());
  Die();
  options_.start_drill = nullptr;
  ASSERT_TRUE(SetPolicy(v1::BackupPolicy()).ok());
  Live();
  Run(40 * kDay);
  EXPECT_FALSE(Record("acme").has_drill_due());
}

TEST_F(ScheduleTest, NothingIsBegunAfterStop) {
  Provision("acme");
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  life_->schedule->Stop();
  life_->schedule->Stop();
  Run(2 * kDay);
  EXPECT_EQ(Snapshots(), 0);
}

}  // namespace
}  // namespace mtp
