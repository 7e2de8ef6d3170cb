// A host that is lost in the middle of an update or a reconfiguration of its tenant: the tenant is
// placed elsewhere all the same.
#include <gmock/gmock.h>

#include "controller/backups/updates.h"
#include "tests/unit/controller/failover_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kImageAfter[] = "openclaw@sha256:22";
constexpr char kImageBefore[] = "sha256:11";

class FailoverYieldTest : public FailoverTest {
 protected:
  FailoverYieldTest() {
    agents_.outcomes[Act::kPull].result = {{"pinned", kImageAfter}};
    agents_.outcomes[Act::kStop].result = {{"stopping", "true"}};
    agents_.outcomes[Act::kSnapshot].result.erase("image_digest");
    agents_.outcomes[Act::kReconfigure].result = {{"container_before", "1"}, {"taken_in", "true"}};
    observations_.Update(
        "h1", [](HostObservation& seen) { seen.tenants["acme"].set_image_id(kImageBefore); });
    Lease("acme");
    Run(absl::Minutes(2));
  }

  // Which stands still in that kind of action when the host is lost.
  v1::Operation LoseInUpdate(Act::ActionCase kind) {
    agents_.outcomes[kind] = FakeAgents::Running();
    v1::RolloutSettings settings;
    settings.set_no_rehearsal(true);
    return LoseIn(updates_.Begin("rollout/1", "acme", "acme", settings, kImageAfter), kind);
  }
  v1::Operation LoseInReconfiguration() {
    agents_.outcomes[Act::kReconfigure] = FakeAgents::Running();
    v1::UpdateTenantRequest request;
    request.set_name("tenants/acme");
    request.mutable_secrets()->set_anthropic_key("another");
    request.mutable_update_mask()->add_paths("secrets.anthropic_key");
    return LoseIn(tenants_.Update(kCaller, request), Act::kReconfigure);
  }
  v1::Operation LoseIn(const absl::StatusOr<v1::Operation>& begun, Act::ActionCase kind) {
    EXPECT_TRUE(begun.ok()) << begun.status();
    if (!begun.ok()) return {};
    Run(absl::Minutes(1));
    EXPECT_EQ(agents_.begun().back().request.action_case(), kind);
    Lose("h1");
    agents_.outcomes[kind] = {};
    agents_.outcomes[Act::kApply].result = {{"lease", "bound"}};
    begun_before_ = agents_.begun().size();
    return *begun;
  }
  v1::Operation Get(const v1::Operation& operation) {
    return engine_.Get(IdOf(operation)).value_or(v1::Operation());
  }
  // Since the host was lost.
  std::vector<std::string> ActionsOn(const std::string& host) {
    std::vector<std::string> names;
    for (size_t i = begun_before_; i < agents_.begun().size(); ++i) {
      const auto& [on, request] = agents_.begun()[i];
      if (on == host) {
        names.push_back(Act::descriptor()->FindFieldByNumber(request.action_case())->name());
      }
    }
    return names;
  }
  void ExpectRestoredOnH2(const v1::Operation& operation) {
    EXPECT_EQ(Tenant("acme").host(), "h2");
    EXPECT_THAT(ActionsOn("h2"), ::testing::ElementsAre("restore", "apply"));
    EXPECT_THAT(ActionsOn("h1"), IsEmpty());
    const v1::Operation ended = Get(operation);
    EXPECT_EQ(ended.state(), v1::OPERATION_STATE_FAILED) << ended.ShortDebugString();
    EXPECT_THAT(ended.error().message(),
                AllOf(HasSubstr("host h1 was lost"), HasSubstr("restored on host h2")));
    EXPECT_THAT(*tables_.locks.List(), SizeIs(1)) << "that of the eviction";
    EXPECT_EQ(Reserved("h1"), 0);
    EXPECT_EQ(Reserved("h2"), 1024);
  }

  Updates updates_{store_.get(), &engine_, &repositories_, &observations_, &clock_, &random_};
  size_t begun_before_ = 0;
};

TEST_F(FailoverYieldTest, AnUpdateMakesWayAndTheTenantRunsAsBeforeIt) {
  const v1::Operation update = LoseInUpdate(Act::kSoak);
  Run(absl::Minutes(3));
  ExpectRestoredOnH2(update);
  // With the state before the update, and the image that can live with it.
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().spec().image(),
            Tenant("acme").resolved().image());
  EXPECT_NE(Tenant("acme").resolved().image(), kImageAfter);
  const auto rows = *tables_.backups.List();
  EXPECT_EQ(agents_.Last(Act::kRestore).request.restore().backup().backup_id(), rows.back().id);
  EXPECT_EQ(rows.back().value.backup().reason(), "before-update");
}

class InEachAction : public FailoverYieldTest,
                     public ::testing::WithParamInterface<Act::ActionCase> {};

TEST_P(InEachAction, TheTenantIsPlacedElsewhere) {
  const v1::Operation update = LoseInUpdate(GetParam());
  Run(absl::Minutes(3));
  ExpectRestoredOnH2(update);
  IsBack("h1");
  agents_.End(GetParam(), {});  // as the controller calls an ended operation's action off
  Run(absl::Minutes(5));
  EXPECT_THAT(ActionsOn("h1"), ::testing::ElementsAre("remove"));
  EXPECT_THAT(*tables_.locks.List(), IsEmpty());
  // h1 may have completed the one that nobody heard of.
  EXPECT_THAT(*tables_.left_snapshots.List(),
              ::testing::SizeIs(GetParam() == Act::kSnapshot ? 1 : 0));
}
INSTANTIATE_TEST_SUITE_P(OfAnUpdate, InEachAction,
                         ::testing::Values(Act::kPull, Act::kStop, Act::kSnapshot, Act::kApply,
                                           Act::kSoak));

TEST_F(FailoverYieldTest, WhatIsBeingUndoneMakesWayToo) {
  agents_.outcomes[Act::kSoak] = FakeAgents::Failed(absl::InternalError("not ready any more"));
  const v1::Operation update = LoseInUpdate(Act::kRestore);
  Run(absl::Minutes(3));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  const v1::Operation ended = Get(update);
  EXPECT_EQ(ended.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(ended.error().message(),
              AllOf(HasSubstr("not ready any more"), HasSubstr("host h1 was lost")));
}

TEST_F(FailoverYieldTest, NothingIsDoneInItWhileTheTenantIsBeingPlacedElsewhere) {
  const v1::Operation update = LoseInUpdate(Act::kSoak);
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  Run(absl::Minutes(2));
  ASSERT_EQ(Tenant("acme").host(), "h2");
  ASSERT_TRUE(engine_.Cancel(IdOf(update)).ok());
  IsBack("h1");
  engine_.Wake(IdOf(update));
  Run(absl::Minutes(10));
  EXPECT_THAT(ActionsOn("h1"), IsEmpty());
  EXPECT_THAT(ActionsOn("h2"), ::testing::ElementsAre("restore"));
  EXPECT_THAT(Get(update).message(), HasSubstr("is being restored on another one"));
  agents_.End(Act::kRestore, {});
  Run(absl::Minutes(1));
  EXPECT_EQ(Get(update).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(Get(update).error().message(), HasSubstr("restored on host h2"));
}

// What it had begun was for an earlier placement of the tenant.
TEST_F(FailoverYieldTest, WhenThatFailsTheUpdateIsUndoneOnceTheHostIsBack) {
  const v1::Operation update = LoseInUpdate(Act::kSoak);
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::InternalError("no such snapshot"));
  Run(absl::Seconds(100));
  ASSERT_EQ(agents_.Count(Act::kRestore), 1);
  EXPECT_EQ(Tenant("acme").host(), "h1");
  EXPECT_EQ(tables_.locks.Get("tenants/acme")->value.operation(), IdOf(update));
  EXPECT_EQ(Get(update).state(), v1::OPERATION_STATE_COMPENSATING);
  agents_.outcomes[Act::kRestore] = {};
  IsBack("h1");
  agents_.End(Act::kSoak, {});  // as the controller calls an undone step's action off
  engine_.Wake(IdOf(update));
  Run(absl::Minutes(1));
  EXPECT_EQ(Get(update).state(), v1::OPERATION_STATE_FAILED) << Get(update).ShortDebugString();
  EXPECT_THAT(ActionsOn("h1"), ::testing::ElementsAre("restore", "apply"));
  EXPECT_EQ(Tenant("acme").resolved().image(), kImageBefore);
  EXPECT_THAT(*tables_.locks.List(), IsEmpty());
}

TEST_F(FailoverYieldTest, AReconfigurationMakesWayAndLeavesNoSecretsBehind) {
  const v1::Operation reconfiguration = LoseInReconfiguration();
  EXPECT_THAT(*tables_.next_secrets.List(), SizeIs(1));
  Run(absl::Minutes(3));
  ExpectRestoredOnH2(reconfiguration);
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().secrets().anthropic_key(), kAnthropicKey);
  EXPECT_THAT(*tables_.next_secrets.List(), IsEmpty());
}

TEST_F(FailoverYieldTest, AnOperatorsWordDoesNotWaitForItEither) {
  auto row = tables_.tenants.Get("acme");
  row->value.mutable_resolved()->set_failover_policy(v1::FAILOVER_POLICY_STAY);
  row->value.set_leased(false);
  kv::Txn txn;
  tables_.tenants.Put(txn, "acme", row->value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  const v1::Operation update = LoseInUpdate(Act::kSoak);
  Run(absl::Minutes(10));
  EXPECT_EQ(Tenant("acme").host(), "h1");
  Succeeds(failovers_.FailOver(kCaller, Word(/*accept=*/true)));
  ExpectRestoredOnH2(update);
}

}  // namespace
}  // namespace mtp
