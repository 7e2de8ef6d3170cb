// Another memory limit for a tenant that runs.
#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

class LimitTest : public ActionsFixture {
 protected:
  LimitTest() { Provision("acme"); }

  static v1::EnsureActionRequest LimitRequest(const std::string& key, int64_t limit_mib,
                                              const std::string& tenant = "acme") {
    auto request = ActionRequest(key, tenant, 1);
    request.mutable_limit()->set_memory_limit_mib(limit_mib);
    return request;
  }
  FakeContainer Container() {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers["mtp-acme"];
  }
  int64_t JournaledMib() {
    return agent_->journal.Tenant(*TenantName::Parse("acme"))->spec().memory_limit_mib();
  }
  // In use and page cache, MiB.
  void Uses(int64_t used_mib, int64_t cache_mib) { machine_.SetMemory(used_mib, cache_mib); }
  void ExpectUnchanged() {
    EXPECT_EQ(JournaledMib(), 2048);
    EXPECT_THAT(agent_->ReadProjectFile("docker-compose.override.yml"),
                HasSubstr("mem_limit: 2048m"));
    EXPECT_EQ(Container().memory_limit_bytes, 2048 * kMiB);
  }
};

TEST_F(LimitTest, TakesEffectOnTheRunningContainer) {
  for (const int64_t limit_mib : {4096, 600}) {
    const int ups = machine_.compose.ups;
    const auto action = agent_->Finish(LimitRequest(absl::StrCat("o/", limit_mib), limit_mib));
    EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
    EXPECT_EQ(action.result().at("memory_limit_mib"), absl::StrCat(limit_mib));
    EXPECT_EQ(Container().memory_limit_bytes, limit_mib * kMiB);
    EXPECT_EQ(Container().memory_swap_limit_bytes, 2 * limit_mib * kMiB);
    EXPECT_EQ(JournaledMib(), limit_mib);
    EXPECT_THAT(agent_->ReadProjectFile("docker-compose.override.yml"),
                HasSubstr(absl::StrCat("mem_limit: ", limit_mib, "m")));
    EXPECT_EQ(Container().starts, 1);
    EXPECT_EQ(Container().generation, 1);
    EXPECT_EQ(machine_.compose.ups, ups);
  }
}

TEST_F(LimitTest, IsRefusedBelowWhatIsInUseAndNothingChanges) {
  Uses(/*used_mib=*/812, /*cache_mib=*/100);
  const auto action = agent_->Finish(LimitRequest("o/limit", 800));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(action.message(), AllOf(HasSubstr("812 MiB"), HasSubstr("800 MiB")));
  ExpectUnchanged();
}

TEST_F(LimitTest, PageCacheIsNotInUse) {
  Uses(/*used_mib=*/812, /*cache_mib=*/1000);
  EXPECT_EQ(agent_->Finish(LimitRequest("o/limit", 900)).state(), v1::ACTION_STATE_DONE);
}

TEST_F(LimitTest, WhatTheEngineRefusesIsPutBack) {
  machine_.engine.limit_error = absl::FailedPreconditionError("unable to set memory limit");
  EXPECT_EQ(agent_->Finish(LimitRequest("o/limit", 600)).state(), v1::ACTION_STATE_FAILED);
  ExpectUnchanged();
}

TEST_F(LimitTest, AFullDiskChangesNothing) {
  const auto request = LimitRequest("o/limit", 600);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  int commits = 0;
  agent_->store.choose_fault = [&](const kv::Txn&) {
    // The one that would journal the limit.
    return ++commits == 2 ? testing::CommitFault::kDiskFull : testing::CommitFault::kNone;
  };
  const auto action = agent_->Finish(request);
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  agent_->store.choose_fault = nullptr;
  ExpectUnchanged();
}

TEST_F(LimitTest, AnEngineThatIsAwayForAMomentIsWaitedFor) {
  machine_.engine.SetAway(true);
  const auto request = LimitRequest("o/limit", 600);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  machine_.engine.SetAway(false);
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Container().memory_limit_bytes, 600 * kMiB);
}

TEST_F(LimitTest, AStoppedTenantGetsItAndStaysStopped) {
  Stop("acme");
  EXPECT_EQ(agent_->Finish(LimitRequest("o/limit", 600)).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(JournaledMib(), 600);
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_EQ(agent_->journal.Tenant(*TenantName::Parse("acme"))->run_policy(), v1::RUN_POLICY_STOP);
}

TEST_F(LimitTest, OneWithoutAContainerHasItJournaled) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers.clear();
  }
  EXPECT_EQ(agent_->Finish(LimitRequest("o/limit", 600)).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(JournaledMib(), 600);
  EXPECT_FALSE(HasContainer("mtp-acme"));
}

TEST_F(LimitTest, ATenantThatIsElsewhereIsNotFound) {
  EXPECT_EQ(agent_->Finish(LimitRequest("o/limit", 600, "ghost")).error().code(),
            static_cast<int>(absl::StatusCode::kNotFound));
}

TEST_F(LimitTest, LimitsBeyondReasonAreRefused) {
  for (const int64_t limit_mib : {0, 15, 1048577}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        agent_->actions->Ensure(LimitRequest(absl::StrCat("o/", limit_mib), limit_mib)).status()));
  }
}

// The container's settings are not those of the folder any more; only an operator's word may make
// it anew.
TEST_F(LimitTest, NeitherReconciliationNorANewAgentMakesTheContainerAnew) {
  ASSERT_EQ(agent_->Finish(LimitRequest("o/limit", 600)).state(), v1::ACTION_STATE_DONE);
  agent_->reconciler->OnEngineUp();
  machine_.executor.RunFor(absl::Minutes(5));
  NewAgent();
  agent_->reconciler->OnEngineUp();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_EQ(Container().generation, 1);
  EXPECT_EQ(Container().starts, 1);
}

TEST_F(LimitTest, ARestartMakesItAnewAndStartsItOnce) {
  ASSERT_EQ(agent_->Finish(LimitRequest("o/limit", 600)).state(), v1::ACTION_STATE_DONE);
  auto restart = ActionRequest("o/restart", "acme", 1);
  restart.mutable_restart();
  ASSERT_EQ(agent_->Finish(restart).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Container().generation, 2);
  EXPECT_EQ(Container().starts, 2);
}

class LimitCrash : public LimitTest, public ::testing::WithParamInterface<bool> {};

TEST_P(LimitCrash, GoesOnFromADeathAtEachCommit) {
  for (int at = 0;; ++at) {
    const int64_t limit_mib = 1000 + at;
    const auto request = LimitRequest(absl::StrCat("o", at, "/limit"), limit_mib);
    const bool crashed = CrashAt(at, GetParam(), request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_EQ(Container().memory_limit_bytes, limit_mib * kMiB) << "commit " << at;
    EXPECT_EQ(JournaledMib(), limit_mib) << "commit " << at;
    EXPECT_EQ(Container().starts, 1) << "commit " << at;
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

TEST_P(LimitCrash, ARefusalAfterADeathStillPutsBack) {
  for (int at = 0;; ++at) {
    machine_.engine.limit_error = absl::FailedPreconditionError("unable to set memory limit");
    const auto request = LimitRequest(absl::StrCat("o", at, "/limit"), 600);
    const bool crashed = CrashAt(at, GetParam(), request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_FAILED) << "commit " << at;
    ExpectUnchanged();
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, LimitCrash, ::testing::Bool());

}  // namespace
}  // namespace mtp
