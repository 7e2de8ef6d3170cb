// The engine on real threads: operations side by side, steps of one operation never.
#include <absl/strings/str_cat.h>
#include <absl/synchronization/blocking_counter.h>
#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "controller/operations/engine.h"

namespace mtp::operations {
namespace {

class EngineThreadsTest : public ::testing::Test {
 protected:
  void Start(Kind kind) {
    engine_.Register(std::move(kind));
    ASSERT_TRUE(engine_.Start().ok());
    pool_.Start();
  }
  static NewOperation Request() {
    NewOperation request;
    request.kind = "work";
    request.created_by = "operator/alice";
    return request;
  }

  SystemClock clock_;
  SystemRandom random_;
  ThreadPool pool_{4};
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Engine engine_{store_.get(), &clock_, &random_, &pool_, {}};
};

TEST_F(EngineThreadsTest, ManyOperationsUnderAStormOfWakesRunEachStepAloneAndOnce) {
  constexpr int kOperations = 200;
  absl::BlockingCounter ended(kOperations);
  std::vector<std::atomic<int>> inside(kOperations);
  std::vector<std::atomic<int>> runs(kOperations);
  std::atomic<bool> overlapped{false};
  const auto run = [&](StepContext& context) {
    const int number = std::stoi(context.Fact("number"));
    if (inside[number].fetch_add(1) != 0) overlapped = true;
    const std::string id = context.record().operation().name().substr(sizeof("operations/") - 1);
    for (int i = 0; i < 5; ++i) engine_.Wake(id);
    const StepResult result = runs[number].fetch_add(1) % 3 == 2
                                  ? StepResult::Done()
                                  : StepResult::Wait(absl::Milliseconds(20));
    inside[number].fetch_sub(1);
    return result;
  };
  Kind kind{"work", {{"a", run, nullptr}, {"b", run, nullptr}}, nullptr};
  kind.on_end = [&](const state::v1::OperationRecord&, kv::Txn&) { ended.DecrementCount(); };
  Start(std::move(kind));
  for (int i = 0; i < kOperations; ++i) {
    NewOperation request = Request();
    request.facts["number"] = absl::StrCat(i);
    ASSERT_TRUE(engine_.Create(request, {}).ok());
  }
  ended.Wait();
  engine_.Stop();
  EXPECT_FALSE(overlapped);
  for (const auto& count : runs) EXPECT_EQ(count, 6);
}

TEST_F(EngineThreadsTest, OperationsRunSideBySide) {
  absl::Notification first;
  absl::Notification second;
  absl::BlockingCounter ended(2);
  std::atomic<int> number{0};
  const auto run = [&](StepContext&) {
    if (number.fetch_add(1) == 0) {
      first.Notify();
      second.WaitForNotificationWithTimeout(absl::Seconds(20));
    } else {
      first.WaitForNotificationWithTimeout(absl::Seconds(20));
      second.Notify();
    }
    ended.DecrementCount();
    return StepResult::Done();
  };
  Start({"work", {{"a", run, nullptr}}, nullptr});
  ASSERT_TRUE(engine_.Create(Request(), {}).ok());
  ASSERT_TRUE(engine_.Create(Request(), {}).ok());
  ended.Wait();
  EXPECT_TRUE(second.HasBeenNotified());
}

TEST_F(EngineThreadsTest, StopWaitsForTheRunningStepAndBeginsNoOther) {
  absl::Notification begun;
  absl::Notification go_on;
  std::atomic<int> ran{0};
  const auto run = [&](StepContext&) {
    if (ran.fetch_add(1) == 0) begun.Notify();
    go_on.WaitForNotification();
    return StepResult::Done();
  };
  Start({"work", {{"a", run, nullptr}, {"b", run, nullptr}}, nullptr});
  const auto created = engine_.Create(Request(), {});
  ASSERT_TRUE(created.ok());
  begun.WaitForNotification();
  std::thread stopper([this] { engine_.Stop(); });
  go_on.Notify();
  stopper.join();
  const int ran_at_stop = ran;
  engine_.Wake(created->name().substr(sizeof("operations/") - 1));
  pool_.Stop();
  EXPECT_EQ(ran, ran_at_stop);
  EXPECT_GE(ran, 1);
}

TEST_F(EngineThreadsTest, AWatchOfTheStoreMayWakeAndRead) {
  // As the controller does: changes in the store wake operations, on the committer's thread.
  std::atomic<int> events{0};
  auto watch = store_->WatchPrefix(
      "/operations/", store_->Revision(), [&](const std::vector<kv::Event>& batch) {
        for (const kv::Event& event : batch) {
          const std::string id = event.entry.key.substr(sizeof("/operations/") - 1);
          engine_.Wake(id);
          EXPECT_TRUE(engine_.Get(id).ok());
          ++events;
        }
      });
  ASSERT_TRUE(watch.ok());
  absl::BlockingCounter ended(20);
  const auto done = [](StepContext&) { return StepResult::Done(); };
  Kind kind{"work", {{"a", done, nullptr}, {"b", done, nullptr}}, nullptr};
  kind.on_end = [&](const state::v1::OperationRecord&, kv::Txn&) { ended.DecrementCount(); };
  Start(std::move(kind));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(engine_.Create(Request(), {}).ok());
  ended.Wait();
  engine_.Stop();
  EXPECT_GE(events, 80);
}

}  // namespace
}  // namespace mtp::operations
