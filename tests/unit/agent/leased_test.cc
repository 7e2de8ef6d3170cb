// Tenants that may fail over: started only under the lease and beside the guard, never by the
// engine, stopped when the lease ends, and started again when it is back.
#include "agent/tenants/leased.h"

#include <gmock/gmock.h>

#include "common/base/atomic_file.h"
#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

v1::EnsureActionRequest Leased(const std::string& key, const std::string& tenant = "acme",
                               int port = 18801) {
  auto request = ApplyRequest(key, tenant, 1, port);
  request.mutable_apply()->mutable_spec()->set_failover_policy(v1::FAILOVER_POLICY_FAILOVER);
  return request;
}

v1::EnsureActionRequest SetFailover(const std::string& key, v1::FailoverPolicy policy) {
  auto request = ActionRequest(key, "acme", 1);
  request.mutable_set_failover()->set_policy(policy);
  return request;
}

class LeasedTest : public ActionsFixture {
 protected:
  void Grant() { agent_->Grant({{"acme", 1}, {"beta", 1}}); }
  void ProvisionLeased() {
    Grant();
    const v1::Action action = agent_->Finish(Leased("o1/start-container"));
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
    EXPECT_EQ(action.result().at("lease"), "bound");
  }
  // The controller is heard for so long: a grant every four seconds.
  void Heard(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Seconds(4)) {
      Grant();
      machine_.executor.RunFor(absl::Seconds(4));
    }
  }
  std::map<std::string, std::string> Covered() {
    const auto content =
        ReadFile(machine_.guard_folder / guard::kLeaseFile, guard::kSlots * guard::kSlotBytes);
    return content.ok() ? guard::DecodeFile(*content).value_or(guard::Lease()).containers
                        : std::map<std::string, std::string>();
  }
  FakeContainer Container() {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers["mtp-acme"];
  }
};

TEST_F(LeasedTest, TheGuardKnowsItAndTheEngineLeavesItAloneBeforeItsFirstStart) {
  std::string policy_at_start;
  std::map<std::string, std::string> covered_at_start;
  machine_.engine.on_start = [&](FakeContainer& container) {
    policy_at_start = container.restart_policy;
    covered_at_start = Covered();
  };
  ProvisionLeased();
  EXPECT_EQ(policy_at_start, "no");
  EXPECT_THAT(covered_at_start, ElementsAre(Pair("mtp-acme#1", "acme")));
}

TEST_F(LeasedTest, OthersHaveNothingToDoWithIt) {
  machine_.guard_lives = false;
  Provision("acme");
  EXPECT_THAT(Covered(), IsEmpty());
  EXPECT_NE(Container().restart_policy, "no");
  agent_->lease_watch->Start();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, WithoutTheGuardItIsNotStartedAndSaysSo) {
  machine_.guard_lives = false;
  Grant();
  const v1::Action action = agent_->Finish(Leased("o1/start-container"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("start mtp-guard"));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, WithoutALeaseItWaitsForOne) {
  ASSERT_TRUE(agent_->actions->Ensure(Leased("o1/start-container")).ok());
  machine_.executor.RunFor(absl::Seconds(20));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  Grant();
  EXPECT_EQ(agent_->Finish(Leased("o1/start-container")).state(), v1::ACTION_STATE_DONE);
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, OneThatIsPlacedElsewhereIsNotStarted) {
  agent_->Grant({{"beta", 1}});
  EXPECT_EQ(agent_->Finish(Leased("o1/start-container")).state(), v1::ACTION_STATE_FAILED);
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, WhenTheLeaseEndsItIsStoppedAndOthersRunOn) {
  ProvisionLeased();
  Provision("beta", 18802);
  agent_->lease_watch->Start();
  Heard(absl::Minutes(3));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  machine_.executor.RunFor(absl::Seconds(45));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  machine_.executor.RunFor(absl::Seconds(12));  // nobody is heard any more
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_TRUE(IsRunning("mtp-beta"));
  // Nobody starts it meanwhile.
  agent_->reconciler->LookOnce();
  machine_.executor.RunFor(absl::Minutes(10));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, WhenTheLeaseIsBackItIsStartedAgain) {
  ProvisionLeased();
  agent_->lease_watch->Start();
  machine_.executor.RunFor(absl::Minutes(2));
  ASSERT_FALSE(IsRunning("mtp-acme"));
  Heard(absl::Seconds(12));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, ItIsStartedAgainAtOnceHoweverOftenTheLeaseEnds) {
  ProvisionLeased();
  agent_->lease_watch->Start();
  for (int time = 0; time < 3; ++time) {
    machine_.executor.RunFor(absl::Seconds(61));
    ASSERT_FALSE(IsRunning("mtp-acme"));
    Heard(absl::Seconds(8));
    EXPECT_TRUE(IsRunning("mtp-acme")) << time;
  }
}

TEST_F(LeasedTest, OneThatWasPlacedElsewhereMeanwhileIsNotStartedAgainAndIsStopped) {
  ProvisionLeased();
  agent_->lease_watch->Start();
  agent_->Grant({{"beta", 1}});
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  agent_->reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(LeasedTest, ANewLifeOfTheAgentLeavesItRunningWhileTheLeaseLasts) {
  ProvisionLeased();
  const int starts = Starts("mtp-acme");
  NewAgent();
  agent_->lease_watch->Start();
  machine_.executor.RunFor(absl::Seconds(30));
  EXPECT_TRUE(IsRunning("mtp-acme"));
  Heard(absl::Minutes(2));
  EXPECT_EQ(Starts("mtp-acme"), starts);
}

TEST_F(LeasedTest, OneThatRunsComesUnderTheLeaseWithoutARestart) {
  Provision("acme");
  const int starts = Starts("mtp-acme");
  Grant();
  const v1::Action action = agent_->Finish(SetFailover("o2/policy", v1::FAILOVER_POLICY_FAILOVER));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("lease"), "bound");
  EXPECT_EQ(Container().restart_policy, "no");
  EXPECT_THAT(Covered(), ElementsAre(Pair("mtp-acme#1", "acme")));
  EXPECT_EQ(Starts("mtp-acme"), starts);
  const v1::Action back = agent_->Finish(SetFailover("o3/policy", v1::FAILOVER_POLICY_STAY));
  ASSERT_EQ(back.state(), v1::ACTION_STATE_DONE) << back.ShortDebugString();
  EXPECT_EQ(back.result().count("lease"), 0);
  EXPECT_EQ(Container().restart_policy, "unless-stopped");
  EXPECT_THAT(Covered(), IsEmpty());
}

TEST_F(LeasedTest, WithoutTheGuardAPolicyIsRefusedAndNothingChanges) {
  Provision("acme");
  machine_.guard_lives = false;
  Grant();
  EXPECT_EQ(agent_->Finish(SetFailover("o2/policy", v1::FAILOVER_POLICY_FAILOVER)).state(),
            v1::ACTION_STATE_FAILED);
  EXPECT_FALSE(IsLeased(*agent_->journal.Tenant(*TenantName::Parse("acme"))));
  EXPECT_THAT(Covered(), IsEmpty());
}

TEST_F(LeasedTest, KilledAnywhereWhileThePolicyIsSetItIsSetInTheEnd) {
  for (int at = 0; at < 6; ++at) {
    for (const bool after : {false, true}) {
      SCOPED_TRACE(absl::StrCat("commit ", at, after ? " after" : " before"));
      const std::string key = absl::StrCat("o", at, after, "/policy");
      const auto request = SetFailover(key, v1::FAILOVER_POLICY_FAILOVER);
      if (!HasContainer("mtp-acme")) Provision("acme");
      Grant();
      CrashAt(at, after, request);
      Grant();
      EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
      EXPECT_EQ(Container().restart_policy, "no");
      EXPECT_FALSE(Covered().empty());
      ASSERT_EQ(agent_->Finish(SetFailover(key + "-back", v1::FAILOVER_POLICY_STAY)).state(),
                v1::ACTION_STATE_DONE);
    }
  }
}

TEST_F(LeasedTest, AContainerThatWasMadeByHandIsCoveredAtTheNextLook) {
  ProvisionLeased();
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    FakeContainer& container = machine_.engine.containers["mtp-acme"];
    ++container.generation;
    container.restart_policy = "unless-stopped";
  }
  agent_->reconciler->LookOnce();
  EXPECT_THAT(Covered(), ElementsAre(Pair("mtp-acme#2", "acme")));
  EXPECT_EQ(Container().restart_policy, "no");
}

TEST_F(LeasedTest, ARemovedTenantIsNotTheGuardsAnyMore) {
  ProvisionLeased();
  auto remove = ActionRequest("o4/remove", "acme", 2);
  remove.mutable_remove()->set_keep_data(true);
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  EXPECT_THAT(Covered(), IsEmpty());
}

}  // namespace
}  // namespace mtp
