// The kind `set-failover`: when a tenant counts as movable, and what is put back.
#include <gmock/gmock.h>

#include "tests/unit/controller/set_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using Act = v1::EnsureActionRequest;
using mtp::testing::FakeAgents;

TEST_F(SetTest, ATenantIsMovableOnlyOnceItsHostHasSaidThatItIsUnderTheLease) {
  agents_.outcomes[Act::kSetFailover] = FakeAgents::Running();
  const auto begun = Update(Failover(v1::FAILOVER_POLICY_FAILOVER));
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_EQ(begun->kind(), "set-failover");
  executor_.RunFor(absl::Seconds(5));
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_FAILOVER);
  EXPECT_FALSE(Record().leased());
  agents_.End(Act::kSetFailover, {.result = {{"lease", "bound"}}});
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_TRUE(Record().leased());
}

TEST_F(SetTest, AnAgentThatDoesNotSayItLeavesTheTenantWhereItIs) {
  Succeeds(Failover(v1::FAILOVER_POLICY_FAILOVER));
  EXPECT_FALSE(Record().leased());
}

TEST_F(SetTest, AHostWithoutAGuardPutsThePolicyBack) {
  agents_.outcomes[Act::kSetFailover] =
      FakeAgents::Failed(absl::FailedPreconditionError("the guard does not run"));
  agents_.on_begin = [this](const Act& request) {
    // The undo is not refused.
    if (request.set_failover().policy() != v1::FAILOVER_POLICY_FAILOVER) {
      agents_.outcomes[Act::kSetFailover] = {};
    }
  };
  const v1::Operation operation = Ended(Update(Failover(v1::FAILOVER_POLICY_FAILOVER)));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("the guard does not run"));
  EXPECT_EQ(Record().spec().failover_policy(), v1::FAILOVER_POLICY_UNSPECIFIED);
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_UNSPECIFIED);
  EXPECT_FALSE(Record().leased());
}

TEST_F(SetTest, ATenantThatIsToStayIsSoAtOnce) {
  agents_.outcomes[Act::kSetFailover] = {.result = {{"lease", "bound"}}};
  Succeeds(Failover(v1::FAILOVER_POLICY_FAILOVER));
  ASSERT_TRUE(Record().leased());
  agents_.away = {"h1"};
  ASSERT_TRUE(Update(Failover(v1::FAILOVER_POLICY_STAY)).ok());
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_STAY);
}

TEST_F(SetTest, ThePolicyIsChangedByItself) {
  v1::UpdateTenantRequest both = Failover(v1::FAILOVER_POLICY_STAY);
  both.mutable_update_mask()->add_paths("labels");
  EXPECT_TRUE(absl::IsInvalidArgument(Update(both).status()));
}

}  // namespace
}  // namespace mtp
