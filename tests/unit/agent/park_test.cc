// A tenant whose container ends again and again, from the engine's events to its end in `parked`,
// through lives of the agent.
#include <gmock/gmock.h>

#include "agent/tenants/observer.h"
#include "common/base/thread_pool.h"
#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(20);

class ParkTest : public ActionsFixture {
 protected:
  ParkTest() {
    Provision("acme");
    StartObserving();
  }
  ~ParkTest() override { StopObserving(); }

  void StartObserving() {
    pool_.emplace(1);
    ObserverDeps deps;
    deps.engine = &machine_.engine;
    deps.openclaw = &machine_.openclaw;
    deps.cgroups = &machine_.cgroups;
    deps.journal = &agent_->journal;
    deps.board = &agent_->board;
    deps.executor = &*pool_;
    deps.clock = &machine_.clock;
    deps.random = &random_;
    deps.is_being_started = [](const std::string&) { return false; };
    deps.on_crash_loop = [this](const std::string& name) {
      absl::MutexLock lock(&mutex_);
      loops_.push_back(name);
    };
    observer_.emplace(std::move(deps));
    pool_->Start();
    observer_->Start();
    observer_->Refresh("acme");
    ASSERT_TRUE(WillHold([this] { return Status().has_start_time(); }));
  }
  void StopObserving() {
    if (!observer_) return;
    observer_->Stop();
    pool_->Stop();
    observer_.reset();
    pool_.reset();
  }
  void AnotherAgent() {
    StopObserving();
    NewAgent();
    StartObserving();
  }

  bool WillHold(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kPatience;
    while (!condition()) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  v1::TenantStatus Status() {
    auto seen = agent_->board.Tenant("acme");
    return seen ? seen->status() : v1::TenantStatus();
  }
  bool IsLoop() {
    absl::MutexLock lock(&mutex_);
    return !loops_.empty();
  }
  state::v1::AgentTenantRecord Record() {
    return *agent_->journal.Tenant(*TenantName::Parse("acme"));
  }

  // Its process ends, and the engine starts it again; both are seen.
  void EndByItself(bool oom = false) {
    machine_.clock.Advance(absl::Seconds(10));
    int restarts = 0;
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      FakeContainer& container = machine_.engine.containers["mtp-acme"];
      restarts = ++container.restarts_by_engine;
      container.running = false;
      container.restarting = true;
      container.exit_code = 3;
      container.oom_killed = oom;
    }
    if (oom) machine_.engine.Emit("acme", "oom");
    machine_.engine.Emit("acme", "die");
    ASSERT_TRUE(WillHold([&] { return Status().restart_count() == restarts; }));
  }
  void ComesBack() {
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      FakeContainer& container = machine_.engine.containers["mtp-acme"];
      container.running = true;
      container.restarting = false;
      container.oom_killed = false;
      container.started = machine_.clock.Now();
    }
    machine_.engine.Emit("acme", "start");
    ASSERT_TRUE(WillHold([&] { return Status().has_start_time(); }));
  }
  void EndAgainAndAgain(bool oom = false) {
    machine_.openclaw.ready = machine_.openclaw.live = false;
    for (int i = 0; i < kCrashLoopEnds; ++i) {
      if (i > 0) ComesBack();
      EndByItself(oom);
    }
    ASSERT_TRUE(WillHold([this] { return IsLoop(); }));
  }
  // What the daemon does when the observer tells it.
  void ParkIt() {
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      machine_.engine.containers["mtp-acme"].log =
          "starting with 123:planted-secret\nbad \xff byte\nError: cannot go on\n";
    }
    agent_->reconciler->Park("acme");
    machine_.executor.RunFor(absl::Seconds(5));
    observer_->RefreshNow("acme");
  }
  void Do(const std::string& key, void (*fill)(v1::EnsureActionRequest&)) {
    auto request = ActionRequest(key, "acme", 1);
    fill(request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  }

  testing::SeededRandom random_{3};
  std::optional<ThreadPool> pool_;
  std::optional<Observer> observer_;
  absl::Mutex mutex_;
  std::vector<std::string> loops_;
};

TEST_F(ParkTest, ATenantThatKeepsEndingIsParkedWithItsLastWords) {
  EndAgainAndAgain();
  ParkIt();
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_TRUE(WillHold([this] { return Status().parked(); }));
  const v1::TenantStatus status = Status();
  EXPECT_EQ(status.state(), v1::TENANT_STATE_FAILED);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_DOWN);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("parked: it ended 5 times within 10 minutes"),
                                      HasSubstr("exit code 3"), HasSubstr("mtp-cli start acme")));
  EXPECT_THAT(status.last_log_lines(),
              ElementsAre("starting with [redacted]", "bad ? byte", "Error: cannot go on"));
}

TEST_F(ParkTest, StaysSoThroughLivesOfTheAgentUntilItIsStarted) {
  EndAgainAndAgain();
  ParkIt();
  const int ups = machine_.compose.ups;
  StopObserving();
  NewAgent();
  agent_->reconciler->OnEngineUp();
  machine_.executor.RunFor(absl::Hours(2));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_EQ(machine_.compose.ups, ups);
  EXPECT_FALSE(Record().parked_reason().empty());
  EXPECT_GT(Record().last_log_lines_size(), 0);

  machine_.openclaw.ready = machine_.openclaw.live = true;
  Do("o/start", [](v1::EnsureActionRequest& r) { r.mutable_start(); });
  StartObserving();
  EXPECT_TRUE(WillHold([this] { return Status().health() == v1::TENANT_HEALTH_READY; }));
  EXPECT_FALSE(Status().parked());
  EXPECT_EQ(Status().message(), "");
  EXPECT_EQ(Record().last_log_lines_size(), 0);
}

TEST_F(ParkTest, EndsAddUpOverLivesOfTheAgent) {
  machine_.openclaw.ready = machine_.openclaw.live = false;
  for (int i = 0; i < kCrashLoopEnds - 1; ++i) {
    EndByItself();
    EXPECT_FALSE(IsLoop());
    ComesBack();
    AnotherAgent();
  }
  EndByItself();
  EXPECT_TRUE(WillHold([this] { return IsLoop(); }));
}

TEST_F(ParkTest, ARestartUnparksToo) {
  EndAgainAndAgain();
  ParkIt();
  machine_.openclaw.ready = true;
  Do("o/restart", [](v1::EnsureActionRequest& r) { r.mutable_restart(); });
  EXPECT_TRUE(Record().parked_reason().empty());
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ParkTest, AnApplyUnparksToo) {
  EndAgainAndAgain();
  ParkIt();
  machine_.openclaw.ready = true;
  ASSERT_EQ(agent_->Finish(ApplyRequest("o/apply", "acme", 1)).state(), v1::ACTION_STATE_DONE);
  EXPECT_TRUE(Record().parked_reason().empty());
}

TEST_F(ParkTest, AnOperatorsStopOfAParkedTenantIsAStop) {
  EndAgainAndAgain();
  ParkIt();
  Do("o/stop", [](v1::EnsureActionRequest& r) { r.mutable_stop(); });
  observer_->RefreshNow("acme");
  EXPECT_TRUE(WillHold([this] { return Status().state() == v1::TENANT_STATE_STOPPED; }));
  EXPECT_FALSE(Status().parked());
}

TEST_F(ParkTest, OperatorsStopsAndRestartsAreNoCrashes) {
  for (int i = 0; i < 2 * kCrashLoopEnds; ++i) {
    Do(absl::StrCat("o/restart", i), [](v1::EnsureActionRequest& r) { r.mutable_restart(); });
    machine_.engine.Emit("acme", "die");
    machine_.engine.Emit("acme", "start");
    observer_->RefreshNow("acme");
  }
  EXPECT_FALSE(IsLoop());
}

TEST_F(ParkTest, OneOnProbationIsLeftToItsUpdate) {
  StopObserving();
  auto request = ApplyRequest("o/apply", "acme", 1);
  request.mutable_apply()->set_probation(true);
  ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  agent_->reconciler->Park("acme");
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_TRUE(Record().parked_reason().empty());
}

TEST_F(ParkTest, ItWaitsForTheControllersAction) {
  EndAgainAndAgain();
  StopObserving();
  auto start = ActionRequest("o/start", "acme", 1);
  start.mutable_start();
  ASSERT_TRUE(agent_->actions->Ensure(start).ok());
  agent_->reconciler->Park("acme");
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(Record().parked_reason().empty());
}

TEST_F(ParkTest, KilledInTheMiddleItIsParkedByTheNextAgent) {
  EndAgainAndAgain();
  StopObserving();
  for (const auto fault : {testing::CommitFault::kCrashBefore, testing::CommitFault::kCrashAfter}) {
    // The second commit journals the reason; the container still goes on.
    int commits = 0;
    agent_->store.choose_fault = [&](const kv::Txn&) {
      return ++commits == 2 ? fault : testing::CommitFault::kNone;
    };
    agent_->store.on_crash = [this] { machine_.executor.DropAll(); };
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      machine_.engine.containers["mtp-acme"].restarting = true;
    }
    agent_->reconciler->Park("acme");
    machine_.executor.RunFor(absl::Seconds(5));
    ASSERT_TRUE(agent_->store.crashed());
    NewAgent();
    machine_.executor.RunFor(absl::Seconds(5));
    EXPECT_FALSE(Record().parked_reason().empty());
    absl::MutexLock lock(&machine_.engine.mutex);
    EXPECT_FALSE(machine_.engine.containers["mtp-acme"].restarting);
  }
}

TEST_F(ParkTest, OneThatAHandStartedAndIsWellIsParkedNoMore) {
  EndAgainAndAgain();
  ParkIt();
  machine_.openclaw.ready = machine_.openclaw.live = true;
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.Begin(machine_.engine.containers["mtp-acme"]);
  }
  machine_.engine.Emit("acme", "start");
  ASSERT_TRUE(WillHold([this] { return Status().health() == v1::TENANT_HEALTH_READY; }));
  machine_.clock.Advance(kReadyForAWhile);
  observer_->RefreshNow("acme");
  EXPECT_TRUE(WillHold([this] { return Record().parked_reason().empty(); }));
}

TEST_F(ParkTest, KillsForLackOfMemoryAreToldWithTheLimit) {
  EndAgainAndAgain(/*oom=*/true);
  ParkIt();
  ASSERT_TRUE(WillHold([this] { return Status().parked(); }));
  EXPECT_EQ(Status().oom_kills(), kCrashLoopEnds);
  EXPECT_THAT(Status().message(),
              AllOf(HasSubstr("killed by the kernel for lack of memory"),
                    HasSubstr("killed for lack of memory 5 times; its limit is 2048 MiB; raise it: "
                              "mtp-cli tenant set acme --memory-limit MIB, then mtp-cli start"),
                    Not(HasSubstr("exit code"))));
}

}  // namespace
}  // namespace mtp
