// Other secrets and settings for a tenant that is on this host: what its container, its files and
// the journal have afterwards, and what is left of the former ones.
#include <gmock/gmock.h>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOldToken[] = "123:planted-secret";
constexpr char kNewToken[] = "456:other-secret";

v1::EnsureActionRequest Reconfigure(const std::string& key, const std::string& token = kNewToken,
                                    const std::string& tenant = "acme") {
  v1::EnsureActionRequest request = ActionRequest(key, tenant, 1);
  const v1::EnsureActionRequest apply = ApplyRequest(key, tenant, 1);
  v1::ReconfigureTenantAction& action = *request.mutable_reconfigure();
  *action.mutable_spec() = apply.apply().spec();
  *action.mutable_secrets() = apply.apply().secrets();
  action.mutable_secrets()->set_telegram_token(token);
  action.set_port(apply.apply().port());
  return request;
}

v1::EnsureActionRequest Stopped(v1::EnsureActionRequest request) {
  request.mutable_reconfigure()->mutable_spec()->set_run_policy(v1::RUN_POLICY_STOP);
  return request;
}

class ReconfigureTest : public ActionsFixture {
 protected:
  ReconfigureTest() { Provision("acme"); }

  FakeContainer Container() {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers["mtp-acme"];
  }
  v1::Action Succeeds(const v1::EnsureActionRequest& request) {
    const v1::Action action = agent_->Finish(request);
    EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
    return action;
  }
  state::v1::AgentTenantRecord Record() {
    return *agent_->journal.Tenant(*TenantName::Parse("acme"));
  }
  std::string JournaledToken() {
    return agent_->journal.Secrets(*TenantName::Parse("acme"))->telegram_token();
  }
  // The one of the two is wherever a tenant's token is, and the other one nowhere.
  void ExpectEverywhere(const std::string& token, const std::string& other) {
    EXPECT_EQ(JournaledToken(), token);
    EXPECT_THAT(agent_->ReadProjectFile(".env"), AllOf(HasSubstr(token), Not(HasSubstr(other))));
    if (!HasContainer("mtp-acme")) return;
    EXPECT_THAT(Container().environment, AllOf(HasSubstr(token), Not(HasSubstr(other))));
  }
};

TEST_F(ReconfigureTest, ANewContainerHasTheNewSecrets) {
  const v1::Action action = Succeeds(Reconfigure("o1/start-container"));
  EXPECT_EQ(action.result().at("container_before"), "mtp-acme#1");
  EXPECT_EQ(action.result().at("taken_in"), "true");
  EXPECT_EQ(Container().generation, 2);
  EXPECT_EQ(Container().starts, 2);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  ExpectEverywhere(kNewToken, kOldToken);
  EXPECT_TRUE(absl::IsNotFound(agent_->journal.ActionSecrets("o1/start-container").status()));
}

TEST_F(ReconfigureTest, WhatItHasAlreadyLeavesTheContainerAlone) {
  const v1::Action action = Succeeds(Reconfigure("o1/start-container", kOldToken));
  EXPECT_EQ(action.result().at("container_before"), "unchanged");
  EXPECT_EQ(Container().generation, 1);
  EXPECT_EQ(Container().starts, 1);
}

TEST_F(ReconfigureTest, EnvironmentAndPortAreTheContainers) {
  v1::EnsureActionRequest request = Reconfigure("o1/start-container", kOldToken);
  v1::TenantSpec& spec = *request.mutable_reconfigure()->mutable_spec();
  (*spec.mutable_environment())["TZ"] = "Europe/Berlin";
  (*spec.mutable_environment())["LANG"] = "a \"quoted\" $value";
  spec.set_port_unpublished(true);
  Succeeds(request);
  EXPECT_THAT(Container().file, AllOf(HasSubstr("      LANG: \"a \\\"quoted\\\" $$value\"\n"
                                                "      TZ: \"Europe/Berlin\"\n"),
                                      Not(HasSubstr("ports:"))));
  Succeeds(Reconfigure("o2/start-container", kOldToken));
  EXPECT_THAT(Container().file, AllOf(Not(HasSubstr("TZ")), HasSubstr("ports:")));
}

TEST_F(ReconfigureTest, OfAStoppedTenantNoContainerIsLeft) {
  Stop("acme");
  ASSERT_TRUE(HasContainer("mtp-acme"));
  Succeeds(Stopped(Reconfigure("o1/start-container")));
  EXPECT_FALSE(HasContainer("mtp-acme"));
  EXPECT_EQ(Record().run_policy(), v1::RUN_POLICY_STOP);
  ExpectEverywhere(kNewToken, kOldToken);
  auto start = ActionRequest("o2/start-container", "acme", 1);
  start.mutable_start();
  Succeeds(start);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  ExpectEverywhere(kNewToken, kOldToken);
}

TEST_F(ReconfigureTest, OneThatNeverGetsReadyFailsAndHasTheNewOnesUntilItIsUndone) {
  machine_.openclaw.ready = false;
  v1::EnsureActionRequest request = Reconfigure("o1/start-container");
  request.mutable_reconfigure()->set_probation(true);
  const v1::Action failed = agent_->Finish(request);
  EXPECT_EQ(failed.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(failed.result().at("taken_in"), "true");
  EXPECT_THAT(failed.ShortDebugString(), Not(HasSubstr("other-secret")));
  EXPECT_TRUE(Record().probation());
  machine_.openclaw.ready = true;
  Succeeds(Reconfigure("o1/start-container/undo", kOldToken));
  EXPECT_FALSE(Record().probation());
  EXPECT_EQ(Container().restart_policy, "unless-stopped");
  ExpectEverywhere(kOldToken, kNewToken);
}

TEST_F(ReconfigureTest, WhatCannotBeBroughtChangesNothing) {
  v1::EnsureActionRequest request = Reconfigure("o1/start-container");
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.images.clear();
  }
  const v1::Action failed = agent_->Finish(request);
  EXPECT_EQ(failed.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(failed.result().count("container_before"), 0);
  EXPECT_EQ(Container().generation, 1);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  ExpectEverywhere(kOldToken, kNewToken);
}

TEST_F(ReconfigureTest, AFullDiskTakesNothingIn) {
  const auto request = Reconfigure("o1/start-container");
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  int commits = 0;
  agent_->store.choose_fault = [&](const kv::Txn&) {
    // The second one after the begin would take the secrets in.
    return ++commits == 2 ? testing::CommitFault::kDiskFull : testing::CommitFault::kNone;
  };
  const v1::Action failed = agent_->Finish(request);
  EXPECT_EQ(failed.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(failed.result().count("container_before"), 1);
  EXPECT_EQ(failed.result().count("taken_in"), 0);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  ExpectEverywhere(kOldToken, kNewToken);
}

TEST_F(ReconfigureTest, ParkedTenantsAreStartedByIt) {
  ASSERT_TRUE(
      agent_->journal.Park(*TenantName::Parse("acme"), "it ended again and again", {}).ok());
  Succeeds(Reconfigure("o1/start-container"));
  EXPECT_EQ(Record().parked_reason(), "");
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ReconfigureTest, ATenantThatIsElsewhereIsNotFound) {
  EXPECT_EQ(agent_->Finish(Reconfigure("o1/start-container", kNewToken, "ghost")).error().code(),
            static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_FALSE(HasContainer("mtp-ghost"));
}

TEST_F(ReconfigureTest, WhatNobodyMaySetIsRefused) {
  v1::EnsureActionRequest request = Reconfigure("o1/start-container");
  (*request.mutable_reconfigure()->mutable_spec()->mutable_environment())["NODE_OPTIONS"] = "x";
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
  request = Reconfigure("o1/start-container");
  request.mutable_reconfigure()->mutable_secrets()->clear_gateway_token();
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
}

TEST_F(ReconfigureTest, GoesOnFromADeathAtEachCommit) {
  std::string former = kOldToken;
  for (int at = 0;; ++at) {
    for (const bool after : {false, true}) {
      const std::string token = absl::StrCat("456:token-", at, after ? "-after" : "-before");
      const auto request = Reconfigure(absl::StrCat("o", at, after, "/start-container"), token);
      const int starts = Starts("mtp-acme");
      const bool crashed = CrashAt(at, after, request);
      // A controller without an answer asks again.
      Succeeds(request);
      ExpectEverywhere(token, former);
      EXPECT_EQ(Starts("mtp-acme"), starts + 1) << "commit " << at;
      former = token;
      if (!crashed && after) {
        EXPECT_GE(at, 4);
        return;
      }
    }
  }
}

TEST_F(ReconfigureTest, OfAStoppedTenantGoesOnFromADeathAtEachCommit) {
  Stop("acme");
  std::string former = kOldToken;
  for (int at = 0;; ++at) {
    const std::string token = absl::StrCat("456:token-", at, "-");
    const auto request = Stopped(Reconfigure(absl::StrCat("o", at, "/start-container"), token));
    const bool crashed = CrashAt(at, /*after=*/true, request);
    Succeeds(request);
    ExpectEverywhere(token, former);
    EXPECT_FALSE(HasContainer("mtp-acme"));
    former = token;
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

}  // namespace
}  // namespace mtp
