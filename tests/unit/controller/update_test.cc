// The update of one tenant: its steps, and what it refuses.
#include <gmock/gmock.h>

#include "controller/backups/kinds.h"
#include "controller/state/fleet.h"
#include "tests/unit/controller/update_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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
  EXPECT_THAT(agents_.Last(Act::kSoak).request.soak().failing_before(), ElementsAre());
  EXPECT_EQ(Tenant().spec().image(), "openclaw:latest");
  EXPECT_THAT(Catalogue(), SizeIs(1));
}

TEST_F(Update, IsJudgedByWhatWorkedBefore) {
  agents_.outcomes[Act::kStop].result = {{"stopping", "true"}, {"failing", "telegram,discord"}};
  const v1::Operation operation = Ended(Begin(NoRehearsal()));
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_THAT(agents_.Last(Act::kSoak).request.soak().failing_before(),
              ElementsAre("telegram", "discord"));
  EXPECT_THAT(operation.ShortDebugString(),
              HasSubstr("telegram, discord did not work before, either"));
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

}  // namespace
}  // namespace mtp
