// The update of one tenant: its steps, and its ways back.
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

using Update = UpdateFixture;

TEST_F(Update, TriesTheImageOnACopyAndThenOnTheTenant) {
  v1::RolloutSettings settings;
  settings.set_image("openclaw:2026.10");
  const v1::Operation operation = Ended(Begin(settings));
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.kind(), "update");
  EXPECT_EQ(operation.target(), "tenants/acme");
  EXPECT_EQ(operation.host(), "h1");
  EXPECT_EQ(operation.created_by(), kRolloutCaller);
  EXPECT_THAT(Actions(),
              ElementsAre("pull", "snapshot", "drill", "stop", "snapshot", "apply-new", "soak"));
  ExpectNew();

  const auto& begun = agents_.begun();
  const Act& pull = begun[begun_before_].request;
  EXPECT_EQ(pull.pull().image(), kImageAfter);
  EXPECT_EQ(pull.tenant(), "");
  EXPECT_EQ(pull.epoch(), 0);
  const Act& drill = agents_.Last(Act::kDrill).request;
  EXPECT_EQ(drill.drill().spec().image(), kImageAfter);
  EXPECT_EQ(drill.drill().backup().backup_id(),
            begun[begun_before_ + 1].request.snapshot().backup_id());
  EXPECT_EQ(drill.drill().backup().manifest_sha256(), "aa");
  EXPECT_EQ(agents_.Last(Act::kStop).request.stop().idle_wait().seconds(), 300);
  EXPECT_TRUE(agents_.Last(Act::kApply).request.apply().probation());
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().kept_data(), v1::KEPT_DATA_USE);
  EXPECT_EQ(agents_.Last(Act::kSoak).request.soak().duration().seconds(), 60);

  EXPECT_EQ(Tenant().previous_image(), kImageBefore);
  EXPECT_EQ(Tenant().resolved().image(), kImageAfter);
  EXPECT_TRUE(Tenant().pinned());
  EXPECT_EQ(Tenant().spec().image(), "openclaw:2026.10");
  ASSERT_THAT(Catalogue(), SizeIs(2));
  for (const v1::Backup& backup : Catalogue()) EXPECT_EQ(backup.reason(), "before-update");
  const std::string last = "backups/" + agents_.Last(Act::kSnapshot).request.snapshot().backup_id();
  EXPECT_EQ(operation.result().at("backup"), last);
  for (const v1::Backup& backup : Catalogue()) {
    EXPECT_EQ(backup.manifest_sha256(), backup.name() == last ? "bb" : "aa");
  }
  EXPECT_EQ(Sandboxes(), 0);
}

TEST_F(Update, WithoutRehearsalAndImageOfItsOwn) {
  v1::RolloutSettings settings = NoRehearsal();
  settings.mutable_soak()->set_seconds(0);
  settings.mutable_idle_wait()->set_seconds(7);
  const v1::Operation operation = Ended(Begin(settings));
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-new", "soak"));
  EXPECT_EQ(agents_.Last(Act::kStop).request.stop().idle_wait().seconds(), 7);
  EXPECT_EQ(agents_.Last(Act::kSoak).request.soak().duration().seconds(), 0);
  EXPECT_EQ(Tenant().spec().image(), "openclaw:latest");
  EXPECT_THAT(Catalogue(), SizeIs(1));
}

TEST_F(Update, StatusShowsItAsUpdatingNotAsFailed) {
  agents_.outcomes[Act::kStop] = FakeAgents::Running();
  ASSERT_TRUE(Begin(NoRehearsal()).ok());
  Run();
  observations_.Update("h1", [](HostObservation& seen) {
    seen.tenants["acme"].set_state(v1::TENANT_STATE_FAILED);
    seen.tenants["acme"].set_health(v1::TENANT_HEALTH_DOWN);
  });
  const Tables tables(disk_.get());
  const v1::Tenant shown = ToTenant(*tables.tenants.Get("acme"), TransitionKind(tables, "acme"),
                                    observations_.GetHost("h1"));
  EXPECT_EQ(shown.status().state(), v1::TENANT_STATE_UPDATING);
}

TEST_F(Update, WhatFailsBeforeTheStopTouchesNothing) {
  agents_.outcomes[Act::kPull] = FakeAgents::Failed(absl::FailedPreconditionError("no registry"));
  const v1::Operation operation = Ended(Begin());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("no registry"));
  EXPECT_THAT(Actions(), ElementsAre("pull"));
  ExpectOld();
}

TEST_F(Update, AnotherImageUnderThatNameIsNotTaken) {
  agents_.outcomes[Act::kPull].result["pinned"] = "openclaw@sha256:33";
  const v1::Operation operation = Ended(Begin());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("openclaw@sha256:33"), HasSubstr("every host")));
  EXPECT_THAT(Actions(), ElementsAre("pull"));
}

TEST_F(Update, AFailedRehearsalTouchesNothingAndFreesItsRoom) {
  agents_.outcomes[Act::kDrill] = FakeAgents::Failed(absl::FailedPreconditionError("never ready"));
  const auto begun = Begin();
  const v1::Operation operation = Ended(begun);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("never ready"), HasSubstr("a copy of the tenant's state")));
  EXPECT_THAT(Actions(), ElementsAre("pull", "snapshot", "drill"));
  EXPECT_EQ(Sandboxes(), 0);
  EXPECT_EQ(Tenant().resolved().image(), "openclaw:latest");
  ExpectOld();
}

TEST_F(Update, TheRehearsalHasRoomOfItsOwn) {
  agents_.outcomes[Act::kDrill] = FakeAgents::Running();
  ASSERT_TRUE(Begin().ok());
  Run();
  EXPECT_EQ(Sandboxes(), 1);
}

TEST_F(Update, WithoutRoomForTheRehearsalItSaysSo) {
  AddHost(1100);
  const v1::Operation operation = Ended(Begin());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("no room"), HasSubstr("--no-rehearsal")));
  EXPECT_THAT(Actions(), ElementsAre("pull", "snapshot"));
}

TEST_F(Update, OtherSandboxesAreWaitedFor) {
  AddHost(2100);
  const Tables tables(disk_.get());
  auto row = *tables.allocations.Get("h1");
  auto* other = row.value.add_allocations();
  other->set_tenant(std::string(kSandboxPrefix) + "other");
  other->set_memory_mib(1024);
  kv::Txn taken;
  tables.allocations.Put(taken, "h1", row.value);
  ASSERT_TRUE(disk_->Commit(taken).ok());
  const auto begun = Begin();
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_RUNNING);
  EXPECT_THAT(Actions(), ElementsAre("pull", "snapshot"));
  row.value.mutable_allocations()->RemoveLast();
  kv::Txn freed;
  tables.allocations.Put(freed, "h1", row.value);
  ASSERT_TRUE(disk_->Commit(freed).ok());
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(Update, AFailedStopOrFinalBackupStartsTheOldImageAgain) {
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

TEST_F(Update, AFailedStartBringsImageAndStateBack) {
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

TEST_F(Update, AFailedSoakBringsImageAndStateBack) {
  agents_.outcomes[Act::kSoak] = FakeAgents::Failed(absl::FailedPreconditionError("telegram"));
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(),
              ElementsAre("pull", "stop", "snapshot", "apply-new", "soak", "restore", "apply-old"));
  EXPECT_THAT(operation.error().message(), AllOf(HasSubstr("telegram"), HasSubstr("back on")));
  ExpectOld();
}

TEST_F(Update, AFinalBackupOfATenantThatRunsIsNone) {
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
}

TEST_F(Update, CancelledWhileItWaitsForAnIdleMomentTheTenantIsLeftAlone) {
  agents_.outcomes[Act::kStop] = FakeAgents::Running();
  const auto begun = Begin(NoRehearsal());
  Run();
  ASSERT_TRUE(life_->engine.Cancel(IdOf(*begun)).ok());
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop"));
  EXPECT_EQ(Tenant().resolved().image(), "openclaw:latest");
}

TEST_F(Update, CancelledAtAnyLongStepItIsAsItWas) {
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

TEST_F(Update, TheWayBackWaitsForAHostThatIsAway) {
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

TEST_F(Update, TheOldImageIsNotStartedBeforeItsStateIsBack) {
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
TEST_F(Update, AStateThatCannotComeBackKeepsTheOldImageFromIt) {
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

TEST_F(Update, AnOldImageThatIsNotReadyEitherEndsItAndIsSaid) {
  apply_new_ = FakeAgents::Failed(absl::InternalError("exit code 1"));
  apply_old_ = FakeAgents::Failed(absl::InternalError("the bot is gone"));
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Actions(), ElementsAre("pull", "stop", "snapshot", "apply-new", "restore",
                                     "apply-old", "apply-old", "apply-old"));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("exit code 1"), HasSubstr("the bot is gone")));
}

TEST_F(Update, IsRefusedForATenantThatIsNotMeantToRun) {
  EXPECT_TRUE(absl::IsNotFound(
      life_->updates.Begin(kRolloutCaller, "r", "nobody", {}, kImageAfter).status()));
  v1::StopTenantRequest stop;
  stop.set_name("tenants/acme");
  ASSERT_TRUE(life_->tenants.Stop("operator/alice", stop).ok());
  Run();
  const absl::Status status = Begin().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is stopped"));
}

TEST_F(Update, IsRefusedWithBadSettings) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      life_->updates.Begin(kRolloutCaller, "r", "acme", {}, "openclaw:latest").status()));
  v1::RolloutSettings settings;
  settings.mutable_soak()->set_seconds(24 * 3600 + 1);
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(settings).status()));
  settings.mutable_soak()->set_seconds(1);
  settings.mutable_idle_wait()->set_seconds(1801);
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(settings).status()));
  settings.mutable_idle_wait()->set_seconds(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(settings).status()));
  settings.clear_idle_wait();
  settings.set_repository("other");
  EXPECT_TRUE(absl::IsNotFound(Begin(settings).status()));
  EXPECT_THAT(Actions(), IsEmpty());
}

TEST_F(Update, TheSameRequestIsTheSameUpdateAndAnotherOneIsRefused) {
  agents_.outcomes[Act::kPull] = FakeAgents::Running();
  const auto first = Begin();
  const auto second = Begin();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->name(), second->name());
  EXPECT_TRUE(absl::IsAlreadyExists(Begin(NoRehearsal()).status()));
  const absl::Status locked = Begin({}, "other").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(locked)) << locked;
}

TEST_F(Update, WhatWasInForceIsThePinnedImageOrWhatTheContainerIs) {
  const auto from = [this](const std::string& request_id) {
    const auto begun = Begin(NoRehearsal(), request_id);
    Run();
    return Tables(disk_.get()).operations.Get(IdOf(*begun))->value.facts().at(kFromImageFact);
  };
  EXPECT_EQ(from("1"), kImageBefore);
  EXPECT_EQ(from("2"), kImageAfter);
  EXPECT_EQ(Tenant().previous_image(), kImageBefore) << "the same image again is no update";
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
