// A tenant in the middle of its update: nothing starts it again by itself, and a soak ends that.
#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::EnsureActionRequest Probation(const std::string& key) {
  auto request = ApplyRequest(key, "acme", 1);
  request.mutable_apply()->mutable_spec()->set_image("openclaw:2");
  request.mutable_apply()->set_probation(true);
  return request;
}

v1::EnsureActionRequest Soak(const std::string& key, int64_t seconds) {
  auto request = ActionRequest(key, "acme", 1);
  request.mutable_soak()->mutable_duration()->set_seconds(seconds);
  return request;
}

class ProbationTest : public ActionsFixture {
 protected:
  ProbationTest() {
    machine_.engine.images.insert("openclaw:2");
    Provision("acme");
  }
  void Begin() {
    const v1::Action action = agent_->Finish(Probation("o1/start-container"));
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  }
  FakeContainer Container() {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers["mtp-acme"];
  }
  void EndContainer() {
    absl::MutexLock lock(&machine_.engine.mutex);
    FakeContainer& container = machine_.engine.containers["mtp-acme"];
    container.running = false;
    container.exit_code = 7;
    container.log = "cannot go on with planted-secret\n";
  }
  bool IsOnProbation() { return agent_->journal.Tenant(*TenantName::Parse("acme"))->probation(); }
  // A soak that has been going on for a while.
  void BeginSoak(const std::string& key, int64_t seconds, absl::Duration elapsed) {
    ASSERT_TRUE(agent_->actions->Ensure(Soak(key, seconds)).ok());
    machine_.executor.RunFor(elapsed);
    ASSERT_EQ(StateOf(key), v1::ACTION_STATE_RUNNING);
  }
  v1::ActionState StateOf(const std::string& key) {
    return agent_->journal.Action(key)->action().state();
  }
};

TEST_F(ProbationTest, TheEngineDoesNotRestartItFromItsFirstStartOn) {
  std::string policy_at_start;
  machine_.engine.on_start = [&](FakeContainer& container) {
    policy_at_start = container.restart_policy;
  };
  Begin();
  EXPECT_EQ(policy_at_start, "no");
  EXPECT_EQ(Container().restart_policy, "no");
  EXPECT_TRUE(IsOnProbation());
}

TEST_F(ProbationTest, OneThatEndsWhileItStartsHasFailedAtOnce) {
  machine_.engine.on_start = [](FakeContainer& container) {
    container.running = false;
    container.exit_code = 7;
  };
  const absl::Duration begin = machine_.clock.Monotonic();
  const v1::Action action = agent_->Finish(Probation("o1/start-container"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("exit code 7"));
  EXPECT_LT(machine_.clock.Monotonic() - begin, absl::Seconds(1));
  EXPECT_EQ(Container().starts, 2);
}

TEST_F(ProbationTest, SelfRepairLeavesItAlone) {
  Begin();
  EndContainer();
  agent_->reconciler->LookOnce();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  NewAgent();
  agent_->reconciler->LookOnce();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(ProbationTest, ASoakThatGoesWellEndsItWithoutARestart) {
  Begin();
  const int starts = Container().starts;
  BeginSoak("o1/soak", 60, absl::Seconds(59));
  EXPECT_EQ(Container().restart_policy, "no");
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Container().restart_policy, "unless-stopped");
  EXPECT_EQ(Container().starts, starts);
  EXPECT_FALSE(IsOnProbation());
  // And self-repair is back.
  EndContainer();
  agent_->reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ProbationTest, ZeroEndsItAtOnce) {
  Begin();
  machine_.openclaw.ready = false;
  EXPECT_EQ(agent_->Finish(Soak("o1/soak", 0)).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Container().restart_policy, "unless-stopped");
  EXPECT_FALSE(IsOnProbation());
}

TEST_F(ProbationTest, AnEndInTheSoakFailsItAtOnceWithTheLastWords) {
  Begin();
  BeginSoak("o1/soak", 600, absl::Seconds(30));
  EndContainer();
  machine_.executor.RunFor(absl::Seconds(3));
  const v1::Action action = agent_->journal.Action("o1/soak")->action();
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), AllOf(HasSubstr("exit code 7"), HasSubstr("cannot go on"),
                                              Not(HasSubstr("planted-secret"))));
  EXPECT_TRUE(IsOnProbation());
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(ProbationTest, ARestartThatNobodySawFailsTheSoak) {
  Begin();
  BeginSoak("o1/soak", 600, absl::Seconds(30));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.Begin(machine_.engine.containers["mtp-acme"]);
  }
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_FAILED);
}

TEST_F(ProbationTest, AnEndThatADeadAgentSleptThroughFailsTheSoak) {
  Begin();
  BeginSoak("o1/soak", 600, absl::Seconds(30));
  machine_.executor.DropAll();
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.Begin(machine_.engine.containers["mtp-acme"]);
  }
  NewAgent();
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_FAILED);
}

TEST_F(ProbationTest, AShortIllnessIsForgivenALongOneIsNot) {
  Begin();
  BeginSoak("o1/soak", 600, absl::Seconds(10));
  machine_.openclaw.ready = false;
  machine_.executor.RunFor(absl::Seconds(20));
  machine_.openclaw.ready = true;
  machine_.executor.RunFor(absl::Seconds(40));
  machine_.openclaw.ready = false;
  machine_.executor.RunFor(absl::Seconds(30));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.executor.RunFor(absl::Seconds(15));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(agent_->journal.Action("o1/soak")->action().error().message(),
              AllOf(HasSubstr("in all"), HasSubstr("startup-sidecars")));
}

TEST_F(ProbationTest, TheSoakBeginsAnewAfterAnIllness) {
  Begin();
  BeginSoak("o1/soak", 30, absl::Seconds(20));
  machine_.openclaw.ready = false;
  machine_.executor.RunFor(absl::Seconds(30));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.openclaw.ready = true;
  machine_.executor.RunFor(absl::Seconds(25));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
}

// For two minutes after its start OpenClaw's probe says nothing of a channel that it has lost.
TEST_F(ProbationTest, AChannelThatIsLostFailsTheSoakAlthoughTheProbeIsContent) {
  Begin();
  BeginSoak("o1/soak", 90, absl::Seconds(5));
  machine_.openclaw.connected = false;
  machine_.executor.RunFor(absl::Seconds(59));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(agent_->journal.Action("o1/soak")->action().error().message(),
              AllOf(HasSubstr("telegram is not connected: conflict of bot [redacted]"),
                    Not(HasSubstr("planted-secret"))));
}

// A bot whose token is dead says nothing of the image.
TEST_F(ProbationTest, WhatDidNotWorkBeforeNeedNotWorkNow) {
  Begin();
  auto request = Soak("o1/soak", 90);
  request.mutable_soak()->add_failing_before("telegram");
  machine_.openclaw.connected = false;
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  machine_.openclaw.failing = {"telegram"};
  machine_.openclaw.ready = false;
  machine_.executor.RunFor(absl::Seconds(62));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
}

TEST_F(ProbationTest, ButAllElseHasTo) {
  Begin();
  auto request = Soak("o1/soak", 90);
  request.mutable_soak()->add_failing_before("telegram");
  machine_.openclaw.failing = {"telegram", "startup-sidecars"};
  machine_.openclaw.ready = false;
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_FAILED);
  // One that does not even live is not like before.
  request.set_key("o2/soak");
  machine_.openclaw.failing = {};
  machine_.openclaw.live = false;
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_FAILED);
  for (int i = 0; i < 32; ++i) request.mutable_soak()->add_failing_before("x");
  request.set_key("o3/soak");
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
}

// As one does that meets its predecessor's long poll.
TEST_F(ProbationTest, AChannelThatComesBackSoonBeginsTheSoakAnew) {
  Begin();
  machine_.openclaw.connected = false;
  BeginSoak("o1/soak", 60, absl::Seconds(34));
  machine_.openclaw.connected = true;
  machine_.executor.RunFor(absl::Seconds(58));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.executor.RunFor(absl::Seconds(6));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
}

TEST_F(ProbationTest, AGatewayThatDoesNotAnswerIsIllAndOneThatCannotTellIsNot) {
  Begin();
  machine_.openclaw.call_error = absl::InvalidArgumentError("unknown method");
  BeginSoak("o1/soak", 30, absl::Seconds(20));
  machine_.executor.RunFor(absl::Seconds(15));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);

  machine_.openclaw.call_error = absl::UnavailableError("the gateway does not answer");
  BeginSoak("o2/soak", 30, absl::Seconds(50));
  machine_.executor.RunFor(absl::Seconds(15));
  EXPECT_EQ(StateOf("o2/soak"), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(agent_->journal.Action("o2/soak")->action().error().message(),
              HasSubstr("the gateway does not answer"));
}

// Each of its illnesses is short, and it is ready when the soak would be over.
TEST_F(ProbationTest, OneThatComesAndGoesDoesNotPass) {
  Begin();
  BeginSoak("o1/soak", 60, absl::Seconds(10));
  for (int i = 0; i < 20; ++i) {
    machine_.openclaw.ready = i % 2 == 1;
    machine_.executor.RunFor(absl::Seconds(15));
    ASSERT_NE(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
  }
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_FAILED);
}

TEST_F(ProbationTest, ADeadAgentsSoakBeginsItsTimeAnew) {
  Begin();
  BeginSoak("o1/soak", 60, absl::Seconds(50));
  NewAgent();
  machine_.executor.RunFor(absl::Seconds(50));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_RUNNING);
  machine_.executor.RunFor(absl::Seconds(15));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_DONE);
}

TEST_F(ProbationTest, ASoakIsCancelledQuicklyAndEndsNothing) {
  Begin();
  BeginSoak("o1/soak", 600, absl::Seconds(30));
  ASSERT_TRUE(agent_->actions->Cancel("o1/soak").ok());
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_EQ(StateOf("o1/soak"), v1::ACTION_STATE_CANCELLED);
  EXPECT_TRUE(IsOnProbation());
}

// What an operator does by hand, and an apply of another decision, is no part of an update.
TEST_F(ProbationTest, AnyOtherStartEndsIt) {
  auto start = ActionRequest("o2/start", "acme", 1);
  start.mutable_start();
  auto restart = ActionRequest("o2/restart", "acme", 1);
  restart.mutable_restart();
  auto apply = Probation("o2/apply");
  apply.mutable_apply()->set_probation(false);
  int round = 0;
  for (auto request : {start, restart, apply}) {
    ASSERT_EQ(agent_->Finish(Probation(absl::StrCat("o1/", round))).state(), v1::ACTION_STATE_DONE);
    ASSERT_EQ(Container().restart_policy, "no");
    request.set_key(absl::StrCat(request.key(), round++));
    ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
    EXPECT_EQ(Container().restart_policy, "unless-stopped") << request.key();
    EXPECT_FALSE(IsOnProbation()) << request.key();
  }
}

TEST_F(ProbationTest, ADeathAtAnyCommitLeavesNeitherAPolicyNorASoakBehind) {
  for (const bool after : {false, true}) {
    for (int at = 0;; ++at) {
      const std::string id = absl::StrCat("o", at, after);
      const bool crashed = CrashAt(at, after, Probation(id + "/start-container"));
      ASSERT_EQ(agent_->Finish(Probation(id + "/start-container")).state(), v1::ACTION_STATE_DONE);
      EXPECT_EQ(Container().restart_policy, "no") << "commit " << at;
      if (!crashed) break;
      ASSERT_EQ(agent_->Finish(Soak(id + "/soak", 0)).state(), v1::ACTION_STATE_DONE);
    }
    for (int at = 0;; ++at) {
      const std::string id = absl::StrCat("p", at, after);
      ASSERT_EQ(agent_->Finish(Probation(id + "/start-container")).state(), v1::ACTION_STATE_DONE);
      const bool crashed = CrashAt(at, after, Soak(id + "/soak", 10));
      ASSERT_EQ(agent_->Finish(Soak(id + "/soak", 10)).state(), v1::ACTION_STATE_DONE);
      EXPECT_EQ(Container().restart_policy, "unless-stopped") << "commit " << at;
      EXPECT_FALSE(IsOnProbation()) << "commit " << at;
      if (!crashed) break;
    }
  }
}

}  // namespace
}  // namespace mtp
