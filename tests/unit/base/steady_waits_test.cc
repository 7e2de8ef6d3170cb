#include "common/base/steady_waits.h"

#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "common/base/clock.h"

namespace mtp {
namespace {

// What becomes of them when the wall clock is set is seen by tests/e2e/clocks.sh: no test here may
// set it.
TEST(SteadyWaits, AreThoseThatAbseilCalls) { EXPECT_TRUE(WaitsAreSteady()); }

TEST(SteadyWaits, EndWhenTheirTimeIsOverAndNotBefore) {
  ASSERT_TRUE(WaitsAreSteady());
  const absl::Duration begin = SystemClock().Monotonic();
  absl::Notification never;
  EXPECT_FALSE(never.WaitForNotificationWithTimeout(absl::Milliseconds(50)));
  EXPECT_GE(SystemClock().Monotonic() - begin, absl::Milliseconds(49));
}

TEST(SteadyWaits, EndAtOnceWhenTheirTimeWasOverBefore) {
  absl::Notification never;
  EXPECT_FALSE(never.WaitForNotificationWithDeadline(absl::InfinitePast()));
  EXPECT_FALSE(never.WaitForNotificationWithDeadline(absl::UnixEpoch()));
}

TEST(SteadyWaits, LoseNoWakeOfManyThreads) {
  absl::Mutex mutex;
  absl::CondVar turn_changed;
  constexpr int kThreads = 8;
  constexpr int kTurns = 400;
  int turn = 0;
  bool late = false;
  std::vector<std::thread> threads;
  for (int own = 0; own < kThreads; ++own) {
    threads.emplace_back([&, own] {
      absl::MutexLock lock(&mutex);
      while (turn < kTurns) {
        if (turn % kThreads == own) {
          ++turn;
          turn_changed.SignalAll();
        } else if (turn_changed.WaitWithTimeout(&mutex, absl::Minutes(1))) {
          late = true;
          return;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(late);
  EXPECT_EQ(turn, kTurns);
}

}  // namespace
}  // namespace mtp
