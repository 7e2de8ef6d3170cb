#include "agent/tenants/crash_history.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);

// A container in the given number of restarts by the engine, its present life begun `age` ago.
ContainerDetails Container(int restarts, absl::Duration age = absl::Seconds(1),
                           absl::Time now = kNow) {
  ContainerDetails details;
  details.id = "c1";
  details.state = ContainerState::kRunning;
  details.pid = 42;
  details.restart_count = restarts;
  details.started_at = now - age;
  details.memory_limit_bytes = int64_t{512} << 20;
  return details;
}

class CrashHistoryTest : public ::testing::Test {
 protected:
  CrashHistoryTest() { See(0); }
  void See(int restarts) { history_.See(Container(restarts, absl::Seconds(1), now_), 0, {}, now_); }
  // The engine has restarted it once more.
  void End(absl::Duration later) {
    now_ += later;
    See(++restarts_);
  }

  CrashHistory history_;
  absl::Time now_ = kNow;
  int restarts_ = 0;
};

TEST_F(CrashHistoryTest, FiveEndsWithinTenMinutesAreACrashLoop) {
  for (int i = 0; i < 4; ++i) End(absl::Minutes(2));
  EXPECT_FALSE(history_.IsCrashLoop(now_));
  End(absl::Minutes(1));
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, FiveEndsOverLongerAreNone) {
  for (int i = 0; i < 50; ++i) {
    End(absl::Minutes(3));
    EXPECT_FALSE(history_.IsCrashLoop(now_));
  }
}

TEST_F(CrashHistoryTest, EndsThatWereSeenTogetherCountEach) {
  See(5);
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, AStartByAnybodyBeginsAnew) {
  for (int i = 0; i < 4; ++i) End(absl::Seconds(1));
  restarts_ = 0;  // the engine does so at a start, a restart, its own restart and a reboot
  See(0);
  for (int i = 0; i < 4; ++i) End(absl::Seconds(1));
  EXPECT_FALSE(history_.IsCrashLoop(now_));
  End(absl::Seconds(1));
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, ATenantThatWasWellForAWhileHasLeftItsLoop) {
  for (int i = 0; i < 4; ++i) End(absl::Seconds(1));
  history_.SeeReadiness(true, now_);
  now_ += kReadyForAWhile;
  history_.SeeReadiness(true, now_);
  End(absl::Seconds(1));
  EXPECT_FALSE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, BeingReadyForMomentsDoesNotHelp) {
  for (int i = 0; i < 5; ++i) {
    history_.SeeReadiness(true, now_);
    now_ += absl::Minutes(1);
    history_.SeeReadiness(true, now_);
    End(absl::Seconds(30));
  }
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, OneThatIsNotReadyInBetweenIsNotWell) {
  for (int i = 0; i < 4; ++i) End(absl::Seconds(1));
  history_.SeeReadiness(true, now_);
  now_ += absl::Minutes(1);
  history_.SeeReadiness(false, now_);
  now_ += absl::Minutes(1);
  history_.SeeReadiness(true, now_);
  EXPECT_FALSE(history_.IsWell(now_));
  End(absl::Seconds(1));
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, AContainerThatWasNeverSeenIsNotBlamedForWhatItsEngineCounts) {
  CrashHistory history;
  history.See(Container(70), 0, {}, kNow);
  EXPECT_FALSE(history.IsCrashLoop(kNow));
}

TEST_F(CrashHistoryTest, AnotherContainerIsBlamedForAllOfItsEnds) {
  ContainerDetails other = Container(5);
  other.id = "c2";
  history_.See(other, 0, {}, kNow);
  EXPECT_TRUE(history_.IsCrashLoop(kNow));
}

TEST_F(CrashHistoryTest, SurvivesAsText) {
  for (int i = 0; i < 4; ++i) End(absl::Seconds(1));
  history_.See(Container(4, absl::Seconds(1), now_), 3, {}, now_);
  history_ = CrashHistory::FromText(history_.ToText());
  EXPECT_EQ(history_.oom_kills(), 3);
  EXPECT_EQ(history_.last_oom_kill(), now_);
  EXPECT_EQ(history_.limit_at_last_kill(), int64_t{512} << 20);
  End(absl::Seconds(1));
  EXPECT_TRUE(history_.IsCrashLoop(now_));
}

TEST_F(CrashHistoryTest, TextThatIsNoneIsAnEmptyHistory) {
  const std::string empty = CrashHistory().ToText();
  for (const char* text : {"", "c1", "c1 1 x 0 0 0 0 0", "a b c d e f g h i j k l m n o p"}) {
    EXPECT_EQ(CrashHistory::FromText(text).ToText(), empty) << text;
  }
}

TEST_F(CrashHistoryTest, KillsOfAHelperAreCountedByTheKernelsCounter) {
  history_.See(Container(0), 2, {}, kNow);
  EXPECT_EQ(history_.oom_kills(), 2);
  history_.See(Container(0), 2, {kNow, kNow}, kNow);  // the events of the same kills
  EXPECT_EQ(history_.oom_kills(), 2);
}

TEST_F(CrashHistoryTest, KillsAddUpOverTheLivesOfAContainer) {
  ContainerDetails details = Container(0);
  details.oom_killed = true;
  details.pid = 0;
  details.state = ContainerState::kRestarting;
  history_.See(details, 0, {kNow}, kNow);
  EXPECT_EQ(history_.oom_kills(), 1);
  history_.See(Container(1, absl::ZeroDuration(), kNow + absl::Seconds(5)), 0, {}, kNow);
  EXPECT_EQ(history_.oom_kills(), 1);
  history_.See(Container(1, absl::ZeroDuration(), kNow + absl::Seconds(5)), 1, {}, kNow);
  EXPECT_EQ(history_.oom_kills(), 2);
}

TEST_F(CrashHistoryTest, AKillWhoseTracesTheNextStartWipedIsKnownByItsEvent) {
  const absl::Time later = kNow + absl::Seconds(10);
  history_.See(Container(1, absl::Seconds(1), later), 0, {later - absl::Seconds(2)}, later);
  EXPECT_EQ(history_.oom_kills(), 1);
  EXPECT_EQ(history_.last_oom_kill(), later);
}

TEST_F(CrashHistoryTest, ANewContainerBeginsAtNone) {
  history_.See(Container(0), 2, {}, kNow);
  ContainerDetails other = Container(0);
  other.id = "c2";
  history_.See(other, 0, {}, kNow);
  EXPECT_EQ(history_.oom_kills(), 0);
}

}  // namespace
}  // namespace mtp
