#include "agent/tenants/observer.h"

#include <absl/synchronization/notification.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/thread_pool.h"
#include "tests/unit/agent/fake_host.h"

namespace mtp {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

class ObserverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(agent_.reconciler->Begin().ok());
    for (const char* tenant : {"acme", "beta"}) {
      ASSERT_EQ(
          agent_.Finish(ApplyRequest(absl::StrCat("setup/", tenant), tenant, 1, ++port_)).state(),
          v1::ACTION_STATE_DONE);
    }
    ObserverDeps deps;
    deps.engine = &machine_.engine;
    deps.openclaw = &machine_.openclaw;
    deps.cgroups = &cgroups_;
    deps.journal = &agent_.journal;
    deps.board = &agent_.board;
    deps.executor = &pool_;
    deps.clock = &machine_.clock;
    deps.random = &machine_.random;
    deps.ping_interval = absl::Milliseconds(10);
    deps.is_being_started = [](const std::string&) { return false; };
    deps.on_engine = [this](bool up) {
      absl::MutexLock lock(&mutex_);
      engine_up_ = up;
    };
    observer_.emplace(std::move(deps));
    listener_ = agent_.board.Listen(1000, [this] {
      absl::MutexLock lock(&mutex_);
      ++changes_;
    });
    pool_.Start();
    observer_->Start();
  }
  void TearDown() override {
    observer_->Stop();
    pool_.Stop();
  }

  // Whether the board comes to say so of the tenant, in time.
  bool WillBe(const std::string& tenant, v1::TenantState state, v1::TenantHealth health) {
    return WillHold([=, this] {
      auto seen = agent_.board.Tenant(tenant);
      return seen && seen->status().state() == state && seen->status().health() == health;
    });
  }
  bool WillHold(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + kPatience;
    while (!condition()) {
      absl::MutexLock lock(&mutex_);
      const int before = changes_;
      auto changed = [this, before] { return changes_ != before; };
      // Wakes with each change; the short limit only covers conditions that no change announces.
      mutex_.AwaitWithTimeout(absl::Condition(&changed), absl::Milliseconds(20));
      if (absl::Now() > end) return false;
    }
    return true;
  }
  // As after an end that the engine has mended.
  void StartAnew(const std::string& tenant) {
    {
      absl::MutexLock lock(&machine_.engine.mutex);
      machine_.engine.containers["mtp-" + tenant].started += absl::Seconds(1);
    }
    machine_.engine.Emit(tenant, "start");
  }
  int Inspections(const std::string& container) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.inspections[container];
  }

  FakeMachine machine_;
  FakeAgent agent_{&machine_};
  CgroupReader cgroups_{"/nonexistent"};
  int port_ = 18800;
  ThreadPool pool_{2};
  std::optional<Observer> observer_;
  absl::Mutex mutex_;
  int changes_ = 0;
  bool engine_up_ = false;
  std::shared_ptr<Board::Listener> listener_;
};

TEST_F(ObserverTest, SaysOfEachTenantWhatIsTrueOnceTheEngineAnswers) {
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  EXPECT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
}

TEST_F(ObserverTest, AChannelThatOpenClawHoldsBackAtItsStartIsStarted) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  EXPECT_EQ(machine_.openclaw.asked_to_start, 0);
  machine_.openclaw.holds_back = true;
  StartAnew("acme");
  EXPECT_TRUE(WillHold([this] { return machine_.openclaw.asked_to_start == 1; }));
  EXPECT_FALSE(machine_.openclaw.holds_back);
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
}

TEST_F(ObserverTest, OneThatCannotBeStartedIsToldOfWithoutSecrets) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  machine_.openclaw.start_error = absl::InternalError("no such plugin");
  machine_.openclaw.holds_back = true;
  StartAnew("acme");
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_DEGRADED));
  const std::string message = agent_.board.Tenant("acme")->status().message();
  EXPECT_THAT(message, ::testing::HasSubstr("telegram was not started: breaker of bot"));
  EXPECT_THAT(message, ::testing::HasSubstr("it cannot be started: no such plugin"));
  EXPECT_THAT(message, ::testing::Not(::testing::HasSubstr("planted-secret")));
  // One that does not answer has not mended it.
  machine_.openclaw.answers = false;
  observer_->RefreshNow("acme");
  EXPECT_EQ(agent_.board.Tenant("acme")->status().message(), message);
}

TEST_F(ObserverTest, ChannelsAreAskedForOnceForEachStart) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_EQ(machine_.openclaw.asked_for_channels, 2);
  const int before = Inspections("mtp-acme");
  machine_.engine.Emit("acme", "update");
  ASSERT_TRUE(WillHold([&] { return Inspections("mtp-acme") > before; }));
  observer_->RefreshNow("beta");
  EXPECT_EQ(machine_.openclaw.asked_for_channels, 2);
  StartAnew("acme");
  EXPECT_TRUE(WillHold([this] { return machine_.openclaw.asked_for_channels == 3; }));
}

TEST_F(ObserverTest, AnEventMakesItLookAtThatContainerOnly) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  const int beta_before = Inspections("mtp-beta");
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
    machine_.engine.containers["mtp-acme"].exit_code = 3;
  }
  machine_.engine.Emit("acme", "die");
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_FAILED, v1::TENANT_HEALTH_DOWN));
  EXPECT_EQ(Inspections("mtp-beta"), beta_before);
}

TEST_F(ObserverTest, CommandsInAContainerAreNoReasonToLook) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(WillBe("beta", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  const int acme_before = Inspections("mtp-acme");
  machine_.engine.Emit("acme", "exec_create: ls");
  machine_.engine.Emit("beta", "start");
  ASSERT_TRUE(WillHold([&] { return Inspections("mtp-beta") > 0; }));
  EXPECT_EQ(Inspections("mtp-acme"), acme_before);
}

TEST_F(ObserverTest, AnEngineThatGoesAwayAndComesBackIsSeen) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  machine_.engine.SetAway(true);
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_UNSPECIFIED, v1::TENANT_HEALTH_UNSPECIFIED));
  EXPECT_TRUE(WillHold([this] {
    absl::MutexLock lock(&mutex_);
    return !engine_up_;
  }));
  machine_.engine.SetAway(false);
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
}

TEST_F(ObserverTest, AnEngineThatStandsStillAndGoesOnIsSeen) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.stands_still = true;
  }
  EXPECT_TRUE(WillHold([this] {
    absl::MutexLock lock(&mutex_);
    return !engine_up_;
  }));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.stands_still = false;
  }
  EXPECT_TRUE(WillHold([this] {
    absl::MutexLock lock(&mutex_);
    return engine_up_;
  }));
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
}

TEST_F(ObserverTest, ATenantThatLeftIsGoneFromTheBoard) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(agent_.journal.RemoveTenant(*TenantName::Parse("acme")).ok());
  observer_->Forget("acme");
  machine_.engine.Emit("acme", "destroy");
  machine_.engine.Emit("beta", "die");
  ASSERT_TRUE(WillHold([this] { return Inspections("mtp-beta") > 1; }));
  EXPECT_FALSE(agent_.board.Tenant("acme").has_value());
}

TEST_F(ObserverTest, LookingNowIsTrueWhenItReturns) {
  ASSERT_TRUE(WillBe("acme", v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_READY));
  ASSERT_TRUE(agent_.journal.SetRunPolicy(*TenantName::Parse("acme"), v1::RUN_POLICY_STOP).ok());
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
  }
  observer_->RefreshNow("acme");
  EXPECT_TRUE(WillBe("acme", v1::TENANT_STATE_STOPPED, v1::TENANT_HEALTH_DOWN));
}

}  // namespace
}  // namespace mtp
