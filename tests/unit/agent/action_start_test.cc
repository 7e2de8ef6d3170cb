// How a start is waited for, and what it says when it fails.
#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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

// Seen with an agent and an engine that were killed at the same moment: no later start had found
// it.
class MisnamedTest : public ActionStartTest {
 protected:
  static constexpr char kMisnamed[] = "0123456789ab_mtp-acme";

  // As Compose leaves it when it is killed after it has made the new container, and before it has
  // removed the old one (`old_one`) or after.
  void Interrupt(bool old_one, bool runs) {
    absl::MutexLock lock(&machine_.engine.mutex);
    auto& containers = machine_.engine.containers;
    FakeContainer made = containers.at("mtp-acme");
    made.running = runs;
    if (!old_one) containers.erase("mtp-acme");
    containers[kMisnamed] = std::move(made);
  }
  std::vector<std::string> Running() {
    absl::MutexLock lock(&machine_.engine.mutex);
    std::vector<std::string> names;
    for (const auto& [name, container] : machine_.engine.containers) {
      if (container.running) names.push_back(name);
    }
    return names;
  }
  v1::Action Carry(const std::string& key, void (*what)(v1::EnsureActionRequest&)) {
    v1::EnsureActionRequest request = ActionRequest(key, "acme", 1);
    what(request);
    return agent_->Finish(request);
  }
};

TEST_F(MisnamedTest, IsMadeAnewUnderItsNameByAStart) {
  Provision("acme");
  int key = 0;
  for (const bool old_one : {false, true}) {
    for (const bool runs : {false, true}) {
      Interrupt(old_one, runs);
      const v1::Action started = Carry(absl::StrCat("o", ++key, "/start"),
                                       [](v1::EnsureActionRequest& r) { r.mutable_start(); });
      EXPECT_EQ(started.state(), v1::ACTION_STATE_DONE) << started.DebugString();
      EXPECT_THAT(Running(), ElementsAre("mtp-acme"));
      EXPECT_FALSE(HasContainer(kMisnamed));
    }
  }
}

TEST_F(MisnamedTest, IsStopped) {
  Provision("acme");
  Interrupt(/*old_one=*/false, /*runs=*/true);
  const v1::Action stopped = Carry("o1/stop", [](v1::EnsureActionRequest& r) { r.mutable_stop(); });
  EXPECT_EQ(stopped.state(), v1::ACTION_STATE_DONE) << stopped.DebugString();
  EXPECT_THAT(Running(), IsEmpty());
}

TEST_F(MisnamedTest, AnOperatorsOwnRunIsLeftAlone) {
  Provision("acme");
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    FakeContainer& run = machine_.engine.containers["run_mtp-acme"];
    run.one_off = run.running = true;
  }
  const v1::Action started =
      Carry("o1/start", [](v1::EnsureActionRequest& r) { r.mutable_start(); });
  EXPECT_EQ(started.state(), v1::ACTION_STATE_DONE) << started.DebugString();
  EXPECT_THAT(Running(), ElementsAre("mtp-acme", "run_mtp-acme"));
  EXPECT_EQ(Starts("mtp-acme"), 1);
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
