// Stopping a tenant in a moment in which nobody waits for its answer.
#include "agent/tenants/idle_wait.h"

#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

TEST(ListsActiveSessions, ReadsTheGatewaysAnswer) {
  EXPECT_EQ(*ListsActiveSessions(R"({"count":0,"sessions":[]})"), false);
  EXPECT_EQ(*ListsActiveSessions(R"({"count":1,"sessions":[{"key":"agent:main:main"}]})"), true);
  for (const char* other : {"", "null", "[]", "{}", R"({"sessions":3})", "{"}) {
    EXPECT_TRUE(absl::IsInternal(ListsActiveSessions(other).status())) << other;
  }
}

class IdleWaitTest : public ActionsFixture {
 protected:
  IdleWaitTest() { Provision("acme"); }
  static v1::EnsureActionRequest StopRequest(int64_t seconds) {
    auto request = ActionRequest("o1/stop", "acme", 1);
    request.mutable_stop()->mutable_idle_wait()->set_seconds(seconds);
    return request;
  }
  void BeginStop(int64_t seconds) {
    ASSERT_TRUE(agent_->actions->Ensure(StopRequest(seconds)).ok());
  }
  v1::Action Action() { return agent_->journal.Action("o1/stop")->action(); }
  v1::RunPolicy Policy() {
    return agent_->journal.Tenant(*TenantName::Parse("acme"))->run_policy();
  }
};

TEST_F(IdleWaitTest, WaitsUntilTheTurnHasEnded) {
  machine_.openclaw.turn_runs = true;
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(60));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(Policy(), v1::RUN_POLICY_RUN);
  machine_.openclaw.turn_runs = false;
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_EQ(Action().state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Action().result().at("stopping"), "true");
}

TEST_F(IdleWaitTest, SaysWhatDidNotWorkThen) {
  machine_.openclaw.failing = {"telegram", "a,b", "startup-sidecars"};
  machine_.openclaw.ready = false;
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(Action().state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Action().result().at("failing"), "telegram,startup-sidecars");
}

TEST_F(IdleWaitTest, AndNothingOfOneThatIsReady) {
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(Action().state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Action().result().count("failing"), 0);
}

TEST_F(IdleWaitTest, NoLongerThanItsBound) {
  machine_.openclaw.turn_runs = true;
  BeginStop(30);
  machine_.executor.RunFor(absl::Seconds(29));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  machine_.executor.RunFor(absl::Seconds(4));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(IdleWaitTest, AStopWithoutABoundDoesNotWait) {
  machine_.openclaw.turn_runs = true;
  auto request = ActionRequest("o1/stop", "acme", 1);
  request.mutable_stop();
  EXPECT_EQ(agent_->Finish(request, absl::Seconds(1)).state(), v1::ACTION_STATE_DONE);
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(IdleWaitTest, CancelledInTheWaitItIsAsItWas) {
  machine_.openclaw.turn_runs = true;
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(10));
  ASSERT_TRUE(agent_->actions->Cancel("o1/stop").ok());
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(Action().state(), v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(Action().result().count("stopping"), 0);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(Policy(), v1::RUN_POLICY_RUN);
}

TEST_F(IdleWaitTest, OneThatKnowsNoSuchQuestionIsStopped) {
  machine_.openclaw.turn_runs = true;
  machine_.openclaw.call_error = absl::InvalidArgumentError("unknown method: sessions.list");
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(1));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(IdleWaitTest, OneThatDoesNotAnswerIsAskedAFewTimes) {
  machine_.openclaw.call_error = absl::DeadlineExceededError("no answer");
  BeginStop(300);
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(IdleWaitTest, ABoundBeyondHalfAnHourIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(StopRequest(1801)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(StopRequest(-1)).status()));
}

TEST_F(IdleWaitTest, ADeathAtAnyCommitDoesNotKeepItFromBeingStopped) {
  for (const bool after : {false, true}) {
    for (int at = 0;; ++at) {
      auto start = ActionRequest(absl::StrCat("s", at, after, "/start"), "acme", 1);
      start.mutable_start();
      ASSERT_EQ(agent_->Finish(start).state(), v1::ACTION_STATE_DONE);
      auto request = StopRequest(60);
      request.set_key(absl::StrCat("o", at, after, "/stop"));
      const bool crashed = CrashAt(at, after, request);
      ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
      EXPECT_FALSE(IsRunning("mtp-acme")) << "commit " << at;
      if (!crashed) break;
    }
  }
}

}  // namespace
}  // namespace mtp
