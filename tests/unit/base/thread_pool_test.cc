#include "common/base/thread_pool.h"

#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>

namespace mtp {
namespace {

TEST(ThreadPool, RunsWhatIsPostedAlsoFromTasks) {
  ThreadPool pool(2);
  pool.Start();
  absl::BlockingCounter done(100);
  for (int i = 0; i < 50; ++i) {
    pool.Post([&] {
      pool.Post([&] { done.DecrementCount(); });
      done.DecrementCount();
    });
  }
  done.Wait();
}

TEST(ThreadPool, RunsDelayedTasksInTheOrderOfTheirTime) {
  ThreadPool pool(1);
  std::vector<int> order;
  absl::Notification end;
  pool.PostAfter(absl::Milliseconds(40), [&] {
    order.push_back(3);
    end.Notify();
  });
  pool.PostAfter(absl::Milliseconds(20), [&] { order.push_back(2); });
  pool.Post([&] { order.push_back(1); });
  pool.Start();
  ASSERT_TRUE(end.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_THAT(order, ::testing::ElementsAre(1, 2, 3));
}

TEST(ThreadPool, WaitsForARunningTaskWhenStopped) {
  ThreadPool pool(1);
  pool.Start();
  absl::Notification begun;
  absl::Notification go_on;
  std::atomic<bool> ended{false};
  pool.Post([&] {
    begun.Notify();
    go_on.WaitForNotification();
    ended = true;
  });
  begun.WaitForNotification();
  std::thread stopper([&] { pool.Stop(); });
  go_on.Notify();
  stopper.join();
  EXPECT_TRUE(ended);
}

TEST(ThreadPool, DropsWhatIsNotDueAndWhatComesAfterItsStop) {
  std::atomic<int> ran{0};
  auto held = std::make_shared<int>(1);
  ThreadPool pool(1);
  pool.Start();
  pool.PostAfter(absl::Hours(1), [&ran, held] { ++ran; });
  pool.Stop();
  pool.Post([&ran] { ++ran; });
  pool.Stop();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(held.use_count(), 1) << "the dropped task is destroyed";
}

TEST(ThreadPool, RunsTasksSideBySide) {
  ThreadPool pool(2);
  pool.Start();
  absl::Notification first;
  absl::Notification second;
  pool.Post([&] {
    first.Notify();
    second.WaitForNotification();
  });
  pool.Post([&] {
    first.WaitForNotification();
    second.Notify();
  });
  EXPECT_TRUE(second.WaitForNotificationWithTimeout(absl::Seconds(20)));
}

TEST(ThreadPool, AllOfItsThreadsAreUsedForTasksOfTheSameMoment) {
  constexpr int kThreads = 8;
  for (int round = 0; round < 20; ++round) {
    ThreadPool pool(kThreads);
    pool.Start();
    absl::BlockingCounter begun(kThreads);
    absl::Notification go_on;
    for (int i = 0; i < kThreads; ++i) {
      const absl::Duration delay = i % 2 == 0 ? absl::Milliseconds(1) : absl::ZeroDuration();
      pool.PostAfter(delay, [&] {
        begun.DecrementCount();
        go_on.WaitForNotification();
      });
    }
    begun.Wait();
    go_on.Notify();
    pool.Stop();
  }
}

TEST(ThreadPool, AnEarlierTaskIsNotHeldUpByALaterOneThatIsWaitedFor) {
  ThreadPool pool(3);
  pool.Start();
  pool.PostAfter(absl::Hours(1), [] {});
  for (int i = 0; i < 50; ++i) {
    absl::BlockingCounter done(2);
    pool.PostAfter(absl::Microseconds(300), [&] { done.DecrementCount(); });
    pool.Post([&] { done.DecrementCount(); });
    done.Wait();
  }
}

TEST(ThreadPool, WakesNoMoreThreadsThanThereIsWorkFor) {
  constexpr int kThreads = 32;
  constexpr int kTasks = 200;
  ThreadPool pool(kThreads);
  pool.Start();
  // Timers that are set anew, as all of them are.
  absl::BlockingCounter done(kTasks);
  std::function<void(int)> tick = [&](int left) {
    if (left > 1) pool.PostAfter(absl::Milliseconds(1), [&tick, left] { tick(left - 1); });
    done.DecrementCount();
  };
  const auto switches = [] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return used.ru_nvcsw;
  };
  const auto before = switches();
  for (int i = 0; i < 4; ++i) pool.Post([&tick] { tick(kTasks / 4); });
  done.Wait();
  EXPECT_LT(switches() - before, kTasks * kThreads / 8);
}

}  // namespace
}  // namespace mtp
