// How a start is waited for, and what it says when it fails.
#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ActionStartTest : public ActionsFixture {};

TEST_F(ActionStartTest, AContainerThatKeepsEndingFailsEarlyWithItsLastWordsAndNoSecret) {
  machine_.openclaw.ready = false;
  machine_.engine.on_start = [](FakeContainer& container) {
    container.log = "config ok\nboom: token 123:planted-secret refused\n";
    container.restarts_by_engine = 0;
  };
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Seconds(2));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].restarts_by_engine = 3;
    machine_.engine.containers["mtp-acme"].exit_code = 78;
  }
  const absl::Duration before = machine_.clock.Monotonic();
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_LT(machine_.clock.Monotonic() - before, absl::Seconds(10));
  EXPECT_THAT(action.error().message(), HasSubstr("exit code 78"));
  EXPECT_THAT(action.error().message(), HasSubstr("boom: token"));
  EXPECT_THAT(action.error().message(), Not(HasSubstr("planted-secret")));
}

TEST_F(ActionStartTest, AContainerThatTheKernelKilledSaysSo) {
  machine_.engine.on_start = [](FakeContainer& container) {
    container.running = false;
    container.oom_killed = true;
  };
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("for want of memory (limit 2048 MiB)"));
}

// Seen with an engine that was killed while it started a container.
TEST_F(ActionStartTest, APortThatIsTakenOnTheHostBecomesAnotherOne) {
  machine_.compose.taken_ports = {18801, 18802};
  const v1::Action applied = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(applied.state(), v1::ACTION_STATE_DONE) << applied.DebugString();
  EXPECT_EQ(applied.result().at("port"), "18803");
  EXPECT_THAT(agent_->ReadProjectFile(".env"), HasSubstr("ACME_PORT=\"18803\"\n"));
  // Also at a later start, of a tenant that is there.
  machine_.compose.taken_ports.insert(18803);
  machine_.engine.containers["mtp-acme"].running = false;
  auto start = ActionRequest("o2/start", "acme", 1);
  start.mutable_start();
  EXPECT_EQ(agent_->Finish(start).result().at("port"), "18804");
  // It does not go back by itself.
  machine_.compose.taken_ports.clear();
  EXPECT_EQ(agent_->Finish(ApplyRequest("o3/start", "acme", 2)).result().at("port"), "18804");
}

TEST_F(ActionStartTest, AHostThatRefusesEveryPortIsAFailure) {
  for (int port = 18801; port < 18900; ++port) machine_.compose.taken_ports.insert(port);
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("is taken"));
  EXPECT_LE(machine_.compose.ups, 20);
}

TEST_F(ActionStartTest, AStartWithoutAnyActivityIsGivenUpAfterTwoMinutes) {
  machine_.openclaw.ready = false;
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(machine_.clock.Monotonic(), absl::Seconds(120));
  EXPECT_LT(machine_.clock.Monotonic(), absl::Seconds(135));
  EXPECT_THAT(action.error().message(), HasSubstr("startup-sidecars"));
}

// Seen with a network that is away: a line every 30 s, for as long as one looks.
TEST_F(ActionStartTest, AContainerThatTriesTheSameInVainMakesNoProgress) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  for (int attempt = 1; attempt < 20; ++attempt) {
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      machine_.engine.containers["mtp-acme"].lines.emplace_back(
          machine_.clock.Now(), absl::StrCat("attempt ", attempt, ": no network"));
    }
    machine_.executor.RunFor(absl::Seconds(30));
  }
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(action.error().message(), HasSubstr("without any activity"));
}

TEST_F(ActionStartTest, AContainerThatSaysSomethingNewMakesProgress) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  for (const char* table : {"users", "sessions", "messages", "channels", "skills", "leases"}) {
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      machine_.engine.containers["mtp-acme"].lines.emplace_back(machine_.clock.Now(),
                                                                absl::StrCat("migrating ", table));
    }
    machine_.executor.RunFor(absl::Seconds(60));
  }
  machine_.openclaw.ready = true;
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
}

TEST_F(ActionStartTest, AStartThatWorksIsWaitedForBeyondTwoMinutesAndGivenUpAtTheCap) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  for (int second = 0; second < 600; ++second) {
    machine_.executor.RunFor(absl::Seconds(1));
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].cpu_ns += 500'000'000;
  }
  EXPECT_TRUE(agent_->actions->IsStarting("acme"));
  machine_.openclaw.ready = true;
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(), v1::ACTION_STATE_DONE);

  machine_.openclaw.ready = false;
  auto restart = ActionRequest("o2/restart", "acme", 1);
  restart.mutable_restart();
  const absl::Duration before = machine_.clock.Monotonic();
  ASSERT_TRUE(agent_->actions->Ensure(restart).ok());
  while (agent_->actions->IsBusy("acme")) {
    machine_.executor.RunFor(absl::Seconds(1));
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].cpu_ns += 500'000'000;
  }
  EXPECT_GE(machine_.clock.Monotonic() - before, absl::Minutes(15));
  EXPECT_LT(machine_.clock.Monotonic() - before, absl::Minutes(16));
}

TEST_F(ActionStartTest, StartsWaitForASlotAndSayHowManyAreAhead) {
  NewAgent(/*max_starts=*/1);
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "a", 1, 18801)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o2/start", "b", 1, 18802)).ok());
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o3/start", "c", 1, 18803)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  EXPECT_TRUE(IsRunning("mtp-a"));
  EXPECT_FALSE(HasContainer("mtp-b"));
  EXPECT_EQ(agent_->actions->Ensure(ApplyRequest("o3/start", "c", 1, 18803))->message(),
            "waiting for a start slot (2 ahead)");
  machine_.openclaw.ready = true;
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(IsRunning("mtp-b") && IsRunning("mtp-c"));
}

TEST_F(ActionStartTest, ASlotThatIsFreeIsTakenAtOnce) {
  NewAgent(/*max_starts=*/1);
  agent_->starts.Ask("another", nullptr);
  const auto request = ApplyRequest("o1/start", "acme", 1);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Minutes(1));
  EXPECT_FALSE(HasContainer("mtp-acme"));
  agent_->starts.Leave("another");
  machine_.executor.RunFor(absl::ZeroDuration());
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ActionStartTest, WhoWaitsForASlotIsCancelledAtOnceAndLeavesTheQueue) {
  NewAgent(/*max_starts=*/1);
  agent_->starts.Ask("another", nullptr);
  const auto request = ApplyRequest("o1/start", "acme", 1);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Minutes(1));
  ASSERT_TRUE(agent_->actions->Cancel("o1/start").ok());
  machine_.executor.RunFor(absl::ZeroDuration());
  EXPECT_EQ(agent_->actions->Ensure(request)->state(), v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(agent_->starts.Ask("next", nullptr), 1);
}

TEST_F(ActionStartTest, AFailedStartGivesItsSlotBack) {
  NewAgent(/*max_starts=*/1);
  machine_.compose.up_error = absl::FailedPreconditionError("port is already allocated");
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "a", 1, 18801)).state(),
            v1::ACTION_STATE_FAILED);
  machine_.compose.up_error = absl::OkStatus();
  EXPECT_EQ(agent_->Finish(ApplyRequest("o2/start", "b", 1, 18802)).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ActionStartTest, ACancelledStartEndsCancelled) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(agent_->actions->Cancel("o1/start").ok());
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(),
            v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(agent_->actions->Cancel("never/was").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ActionStartTest, AnEngineThatIsAwayForAMomentFailsNothing) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = true;
  }
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Minutes(2));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = false;
  }
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ActionStartTest, AnEngineThatStaysAwayFailsTheActionInTheEnd) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = true;
  }
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_LE(machine_.clock.Monotonic(), absl::Minutes(6));
}

TEST_F(ActionStartTest, AnImageThatIsNowhereIsNamedWithWhatToDo) {
  auto request = ApplyRequest("o1/start", "acme", 1);
  request.mutable_apply()->mutable_spec()->set_image("nowhere:9");
  const v1::Action action = agent_->Finish(request);
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("nowhere:9"));
  EXPECT_THAT(action.error().message(), HasSubstr("docker load"));
}

TEST_F(ActionStartTest, AConfigurationThatTheImageRefusesNeverReachesTheTenant) {
  machine_.compose.config_issues =
      R"({"ok":false,"valid":false,"issues":[{"path":"gateway.mode","message":"Invalid input"}]})";
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(action.error().message(), HasSubstr("gateway.mode: Invalid input"));
  EXPECT_FALSE(HasContainer("mtp-acme"));
}

TEST_F(ActionStartTest, AConfigurationIsCheckedOnceForAllTenantsAndWithoutSecrets) {
  Provision("a", 18801);
  Provision("b", 18802);
  EXPECT_EQ(machine_.compose.one_offs, 1);
  for (const auto& [name, value] : machine_.compose.checked.env) {
    EXPECT_THAT(value, Not(HasSubstr("planted"))) << name;
  }
}

}  // namespace
}  // namespace mtp
