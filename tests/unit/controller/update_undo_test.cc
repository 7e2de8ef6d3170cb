// The ways back of the update of one tenant, and the deaths of the controller in it.
#include <gmock/gmock.h>

#include "tests/unit/controller/update_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

using UpdateUndone = UpdateFixture;

TEST_F(UpdateUndone, AFailedStopOrFinalBackupStartsTheOldImageAgain) {
  agents_.outcomes[Act::kStop].state = v1::ACTION_STATE_FAILED;
  agents_.outcomes[Act::kStop].error = absl::InternalError("it does not stop");
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("it does not stop"), HasSubstr("back on its old image sha256:11")));
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "apply-old"));
  EXPECT_FALSE(agents_.Last(Act::kApply).request.apply().probation());
  ExpectOld();

  agents_.outcomes[Act::kStop].state = v1::ACTION_STATE_DONE;
  final_snapshot_ = FakeAgents::Failed(absl::UnavailableError("the repository is away"));
  begun_before_ = agents_.begun().size();
  EXPECT_EQ(Ended(Begin(NoRehearsal(), "again")).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-old"));
  EXPECT_THAT(Tenant().backup_failure(), HasSubstr("the repository is away"));
  ExpectOld();
}

TEST_F(UpdateUndone, AFailedStartBringsImageAndStateBack) {
  apply_new_ = FakeAgents::Failed(absl::FailedPreconditionError("exit code 1"));
  const v1::Operation operation = Ended(Begin());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "snapshot", "drill", "stop", "snapshot", "apply-new",
                                     "restore", "apply-old"));
  const std::string last = agents_.Last(Act::kSnapshot).request.snapshot().backup_id();
  EXPECT_EQ(agents_.Last(Act::kRestore).request.restore().backup().backup_id(), last);
  EXPECT_EQ(agents_.Last(Act::kRestore).request.restore().backup().manifest_sha256(), "bb");
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("exit code 1"), HasSubstr("its state is back"), HasSubstr(last),
                    HasSubstr("kept aside on host h1 (data/.quarantine/acme-1) for a day"),
                    HasSubstr("back on its old image sha256:11"), Not(HasSubstr("undoing"))));
  EXPECT_THAT(host_.aside, ElementsAre("migrated"));
  ExpectOld();
  // A tag may mean the new image by now: the record says what runs.
  EXPECT_EQ(Tenant().resolved().image(), kImageBefore);
  EXPECT_TRUE(Tenant().pinned());
  EXPECT_EQ(Tenant().spec().image(), "openclaw:latest");
  EXPECT_EQ(Tenant().previous_image(), "");
}

TEST_F(UpdateUndone, AFailedSoakBringsImageAndStateBack) {
  agents_.outcomes[Act::kSoak] = FakeAgents::Failed(absl::FailedPreconditionError("telegram"));
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(),
              ElementsAre("pull", "stop", "snapshot", "apply-new", "soak", "restore", "apply-old"));
  EXPECT_THAT(operation.error().message(), AllOf(HasSubstr("telegram"), HasSubstr("back on")));
  ExpectOld();
}

TEST_F(UpdateUndone, AFinalBackupOfATenantThatRunsIsNone) {
  agents_.outcomes[Act::kStop].result.clear();
  const auto on_begin = agents_.on_begin;
  agents_.on_begin = [this, on_begin](const Act& request) {
    if (request.has_snapshot()) host_.runs = true;
    on_begin(request);
  };
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-old"));
  EXPECT_THAT(Catalogue(), IsEmpty());
  EXPECT_THAT(LeftToPruning(),
              ElementsAre(agents_.Last(Act::kSnapshot).request.snapshot().backup_id()));
}

// Its tenant does not wait for that: the next pruning takes it away.
TEST_F(UpdateUndone, ABackupThatEndsAfterItWasCalledOffIsLeftToPruning) {
  agents_.cancels_too_late = true;
  const auto on_begin = agents_.on_begin;
  agents_.on_begin = [this, on_begin](const Act& request) {
    on_begin(request);
    if (request.has_snapshot()) agents_.outcomes[Act::kSnapshot] = FakeAgents::Running();
  };
  std::vector<std::string> ids;
  for (const auto& settings : {v1::RolloutSettings(), NoRehearsal()}) {
    const auto begun = Begin(settings, absl::StrCat("request-", ids.size()));
    Run();
    ids.push_back(agents_.Last(Act::kSnapshot).request.snapshot().backup_id());
    ASSERT_TRUE(life_->engine.Cancel(IdOf(*begun)).ok());
    EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_CANCELLED);
  }
  EXPECT_THAT(Actions(), ElementsAre("pull", "snapshot", "pull", "stop", "snapshot", "apply-old"));
  EXPECT_THAT(LeftToPruning(), UnorderedElementsAreArray(ids));
  EXPECT_THAT(Catalogue(), IsEmpty());
}

TEST_F(UpdateUndone, WhatIsInTheCatalogueIsNotLeftToPruning) {
  agents_.outcomes[Act::kSoak] = FakeAgents::Failed(absl::FailedPreconditionError("telegram"));
  EXPECT_EQ(Ended(Begin()).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Catalogue(), SizeIs(2));
  EXPECT_THAT(LeftToPruning(), IsEmpty());
}

TEST_F(UpdateUndone, CancelledWhileItWaitsForAnIdleMomentTheTenantIsLeftAlone) {
  agents_.outcomes[Act::kStop] = FakeAgents::Running();
  const auto begun = Begin(NoRehearsal());
  Run();
  ASSERT_TRUE(life_->engine.Cancel(IdOf(*begun)).ok());
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop"));
  EXPECT_EQ(Tenant().resolved().image(), "openclaw:latest");
}

TEST_F(UpdateUndone, CancelledAtAnyLongStepItIsAsItWas) {
  struct Case {
    Act::ActionCase kind;
    std::vector<std::string> way_back;
  };
  int number = 0;
  for (const Case& one : std::vector<Case>{{Act::kPull, {}},
                                           {Act::kDrill, {}},
                                           {Act::kSnapshot, {"apply-old"}},
                                           {Act::kApply, {"restore", "apply-old"}},
                                           {Act::kSoak, {"restore", "apply-old"}}}) {
    begun_before_ = agents_.begun().size();
    const auto outcome = agents_.outcomes[one.kind];
    auto& longest = one.kind == Act::kSnapshot ? final_snapshot_
                    : one.kind == Act::kApply  ? apply_new_
                                               : agents_.outcomes[one.kind];
    longest = FakeAgents::Running();
    const auto begun = Begin({}, absl::StrCat("request-", number++));
    EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_RUNNING) << number;
    const auto forth = Actions();
    ASSERT_TRUE(life_->engine.Cancel(IdOf(*begun)).ok());
    EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_CANCELLED) << number;
    auto expected = forth;
    expected.insert(expected.end(), one.way_back.begin(), one.way_back.end());
    EXPECT_EQ(Actions(), expected);
    ExpectOld();
    EXPECT_EQ(Sandboxes(), 0);
    longest = FakeAgents::Outcome();
    agents_.outcomes[one.kind] = outcome;
  }
}

TEST_F(UpdateUndone, TheWayBackWaitsForAHostThatIsAway) {
  apply_new_ = FakeAgents::Running();
  const auto begun = Begin(NoRehearsal());
  Run();
  agents_.away.insert("h1");
  ASSERT_TRUE(life_->engine.Cancel(IdOf(*begun)).ok());
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_COMPENSATING);
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_COMPENSATING);
  agents_.away.clear();
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_CANCELLED);
  ExpectOld();
}

TEST_F(UpdateUndone, TheOldImageIsNotStartedBeforeItsStateIsBack) {
  apply_new_ = FakeAgents::Failed(absl::InternalError("exit code 1"));
  const auto good = agents_.outcomes[Act::kRestore];
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::UnavailableError("repository away"));
  const auto begun = Begin(NoRehearsal());
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_COMPENSATING);
  EXPECT_GE(agents_.Count(Act::kRestore), 2);
  EXPECT_EQ(Actions().back(), "restore");
  agents_.outcomes[Act::kRestore] = good;
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(Actions().back(), "apply-old");
  ExpectOld();
}

// A host of another placement or version may refuse for good.
TEST_F(UpdateUndone, AStateThatCannotComeBackKeepsTheOldImageFromIt) {
  apply_new_ = FakeAgents::Failed(absl::InternalError("exit code 1"));
  const auto on_begin = agents_.on_begin;
  agents_.on_begin = [&, on_begin](const Act& request) {
    on_begin(request);
    if (request.has_apply()) agents_.refuse_restores = true;
  };
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-new"));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("undoing start-container failed"), HasSubstr("undoing stop failed"),
                    HasSubstr("mtp-cli backup restore acme --from ")));
}

TEST_F(UpdateUndone, AnOldImageThatIsNotReadyEitherEndsItAndIsSaid) {
  apply_new_ = FakeAgents::Failed(absl::InternalError("exit code 1"));
  apply_old_ = FakeAgents::Failed(absl::InternalError("the bot is gone"));
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-new", "restore",
                                     "apply-old", "apply-old", "apply-old"));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("exit code 1"), HasSubstr("the bot is gone")));
}

// The controller dies at each commit in turn, before and after it takes effect.
class UpdateDies : public UpdateFixture,
                   public ::testing::WithParamInterface<mtp::testing::CommitFault> {
 protected:
  // The operation's end, after a death at commit `nth`; false when it had ended before.
  bool DieAt(int nth, const absl::StatusOr<v1::Operation>& begun, v1::Operation* ended) {
    int commits = 0;
    life_->store.choose_fault = [&](const kv::Txn&) {
      return commits++ == nth ? GetParam() : mtp::testing::CommitFault::kNone;
    };
    Run();
    const bool died = life_->store.crashed();
    life_->store.choose_fault = nullptr;
    if (died) NewLife();
    *ended = Ended(begun);
    return died;
  }
};

TEST_P(UpdateDies, AGoodOneEndsWithTheNewImage) {
  for (int nth = 0;; ++nth) {
    const auto begun = Begin({}, absl::StrCat("request-", nth));
    ASSERT_TRUE(begun.ok()) << begun.status();
    begun_before_ = agents_.begun().size();
    v1::Operation ended;
    const bool died = DieAt(nth, begun, &ended);
    ASSERT_EQ(ended.state(), v1::OPERATION_STATE_SUCCEEDED) << nth << ended.ShortDebugString();
    EXPECT_THAT(Actions(),
                ElementsAre("pull", "snapshot", "drill", "stop", "snapshot", "apply-new", "soak"))
        << nth;
    ExpectNew();
    EXPECT_EQ(Sandboxes(), 0);
    if (!died) {
      EXPECT_GE(nth, 8);
      return;
    }
  }
}

TEST_P(UpdateDies, ABadOneEndsWithTheOldImageAndTheOldState) {
  agents_.outcomes[Act::kSoak] = FakeAgents::Failed(absl::FailedPreconditionError("telegram"));
  for (int nth = 0;; ++nth) {
    const auto begun = Begin(NoRehearsal(), absl::StrCat("request-", nth));
    ASSERT_TRUE(begun.ok()) << begun.status();
    begun_before_ = agents_.begun().size();
    v1::Operation ended;
    const bool died = DieAt(nth, begun, &ended);
    ASSERT_EQ(ended.state(), v1::OPERATION_STATE_FAILED) << nth << ended.ShortDebugString();
    EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-new", "soak", "restore",
                                       "apply-old"))
        << nth;
    EXPECT_THAT(ended.error().message(), HasSubstr("back on its old image")) << nth;
    ExpectOld();
    if (!died) {
      EXPECT_GE(nth, 10);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Before, UpdateDies,
                         ::testing::Values(mtp::testing::CommitFault::kCrashBefore));
INSTANTIATE_TEST_SUITE_P(After, UpdateDies,
                         ::testing::Values(mtp::testing::CommitFault::kCrashAfter));

}  // namespace
}  // namespace mtp
