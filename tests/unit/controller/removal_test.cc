// Removing: where the final backup goes, and that nothing is removed without it.
#include <gmock/gmock.h>

#include "tests/unit/controller/backups_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Removal : public BackupsFixture {
 protected:
  Removal() {
    removes_into_repository_ = true;
    agents_.outcomes[Act::kSnapshot].result["image_digest"] = "";
    Provision("acme");
  }
  absl::StatusOr<v1::Operation> Ask() {
    v1::RemoveTenantRequest request;
    request.set_name("tenants/acme");
    return tenants_.Remove(kCaller, request);
  }
  std::vector<v1::Backup> Catalogue() { return backups_.List("").value(); }
  v1::Repository Main() { return repositories_.List()->front(); }
};

TEST_F(Removal, MakesItsFinalBackupInTheRepository) {
  AddRepository();
  const v1::Operation operation = Ended(Ask());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(agents_.Count(Act::kBackup), 0);
  ASSERT_THAT(Catalogue(), SizeIs(1));
  const v1::Backup backup = Catalogue().front();
  EXPECT_EQ(backup.name(), "backups/" + IdOf(operation));
  EXPECT_EQ(backup.tenant(), "acme");
  EXPECT_EQ(backup.host(), "h1");
  EXPECT_EQ(backup.repository(), "main");
  EXPECT_EQ(backup.reason(), "removal");
  EXPECT_EQ(operation.result().at("backup"), backup.name());
  EXPECT_EQ(operation.result().at("repository"), "main");
  EXPECT_TRUE(Main().has_last_success_time());
  const auto asked = agents_.Last(Act::kSnapshot).request;
  EXPECT_EQ("backups/" + asked.snapshot().backup_id(), backup.name());
  EXPECT_EQ(asked.snapshot().repository().password(), kAcmePassword);
}

TEST_F(Removal, TheFinalBackupGoesWhereTheTenantsBackupsGo) {
  AddRepository();
  AddRepository("second");
  SetPolicyRepository("acme", "second");
  Succeeds(Ask());
  EXPECT_EQ(Catalogue().front().repository(), "second");
}

TEST_F(Removal, TheFinalBackupBringsTheTenantBackWithItsSecrets) {
  AddRepository();
  Succeeds(Ask());
  Succeeds(Restore(Catalogue().front().name()));
  EXPECT_TRUE(Exists("acme"));
  const auto& secrets = agents_.Last(Act::kApply).request.apply().secrets();
  EXPECT_EQ(secrets.telegram_token(), kToken);
  EXPECT_EQ(secrets.anthropic_key(), kAnthropicKey);
}

TEST_F(Removal, WithoutARepositoryItIsAnArchiveOnTheHost) {
  agents_.outcomes[Act::kBackup].result["backup_file"] = "backups/acme.tar.gz";
  const v1::Operation operation = Ended(Ask());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(agents_.Count(Act::kSnapshot), 0);
  EXPECT_EQ(operation.result().at("backup_file"), "backups/acme.tar.gz");
  EXPECT_EQ(operation.result().count("backup"), 0u);
  EXPECT_THAT(Catalogue(), IsEmpty());
}

TEST_F(Removal, ARepositoryThatIsAddedMeanwhileChangesNothing) {
  agents_.outcomes[Act::kStop] = mtp::testing::FakeAgents::Running();
  const auto created = Ask();
  Run();
  AddRepository();
  agents_.End(Act::kStop, {});
  Succeeds(created);
  EXPECT_EQ(agents_.Count(Act::kBackup), 1);
  EXPECT_EQ(agents_.Count(Act::kSnapshot), 0);
}

TEST_F(Removal, IsUndoneWhenTheRepositoryFails) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot] =
      mtp::testing::FakeAgents::Failed(absl::FailedPreconditionError("the server is away"));
  const v1::Operation operation = Ended(Ask());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("the server is away"), HasSubstr("not removed"),
                    HasSubstr("mtp-cli repository check main"), HasSubstr("remove the tenant")));
  EXPECT_TRUE(Exists("acme"));
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
  EXPECT_EQ(agents_.Count(Act::kBackup), 0);
  EXPECT_EQ(agents_.Count(Act::kForget), 0);
  EXPECT_THAT(Catalogue(), IsEmpty());
  EXPECT_THAT(Tenant("acme").backup_failure(), HasSubstr("the server is away"));
  EXPECT_THAT(Main().last_failure(), HasSubstr("the server is away"));
}

// The request to end it comes when the snapshot is complete, and it is in no catalogue.
TEST_F(Removal, CalledOffItLeavesNoSnapshotBehind) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  agents_.cancels_too_late = true;
  const auto created = Ask();
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  const auto& forgets = agents_.Last(Act::kForget).request.forget();
  EXPECT_THAT(forgets.backup_ids(), ElementsAre(IdOf(*created)));
  EXPECT_EQ(forgets.repository().password(), kAcmePassword);
  EXPECT_THAT(Catalogue(), IsEmpty());
}

TEST_F(Removal, WhatItLeavesInARepositoryThatRefusesHoldsNothingUp) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  agents_.outcomes[Act::kForget] =
      mtp::testing::FakeAgents::Failed(absl::FailedPreconditionError("the server is away"));
  const auto created = Ask();
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kForget), 1);
  EXPECT_TRUE(tables_.left_snapshots.Get(IdOf(*created)).ok());
}

TEST_F(Removal, ATenantThatWasStoppedStaysStoppedWhenItIsUndone) {
  AddRepository();
  Stop("acme");
  agents_.outcomes[Act::kSnapshot] =
      mtp::testing::FakeAgents::Failed(absl::FailedPreconditionError("the server is away"));
  EXPECT_EQ(Ended(Ask()).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(agents_.Count(Act::kStart), 0);
}

TEST_F(Removal, ARepositoryIsNotBlamedForAStopThatFails) {
  AddRepository();
  agents_.outcomes[Act::kStop] =
      mtp::testing::FakeAgents::Failed(absl::InternalError("the engine is ill"));
  EXPECT_EQ(Ended(Ask()).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(Main().last_failure(), "");
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
}

TEST_F(Removal, WhatTheAgentCannotNameIsNoBackup) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot].result.erase("snapshot");
  EXPECT_EQ(Ended(Ask()).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_TRUE(Exists("acme"));
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
}

TEST_F(Removal, ATenantThatSomethingStartedMeanwhileIsKept) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot].result["image_digest"] = "sha256:1";
  const v1::Operation operation = Ended(Ask());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("started the tenant"));
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
  EXPECT_THAT(Catalogue(), IsEmpty());
}

TEST_F(Removal, OfATenantThatItsHostDoesNotHaveEndsWellWithoutABackup) {
  AddRepository();
  agents_.outcomes[Act::kStop] =
      mtp::testing::FakeAgents::Failed(absl::NotFoundError("tenant acme is not on this host"));
  agents_.outcomes[Act::kSnapshot] = agents_.outcomes[Act::kStop];
  const v1::Operation operation = Ended(Ask());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(operation.result().at("absent"), "true");
  EXPECT_THAT(operation.steps(1).message(), HasSubstr("nothing to back up"));
  EXPECT_EQ(agents_.Count(Act::kSnapshot), 0);
  EXPECT_THAT(Catalogue(), IsEmpty());
  // Should there be any after all.
  EXPECT_TRUE(agents_.Last(Act::kRemove).request.remove().keep_data());
  EXPECT_EQ(Main().last_failure(), "");
}

TEST_F(Removal, OfATenantThatWasTakenOffItsHostByHandEndsWellWithoutABackup) {
  agents_.outcomes[Act::kStop].result["absent"] = "true";
  const v1::Operation operation = Ended(Ask());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(agents_.Count(Act::kBackup), 0);
  EXPECT_EQ(agents_.Count(Act::kRemove), 1);
}

TEST_F(Removal, CancelledDuringItsBackupItBringsTheTenantBack) {
  AddRepository();
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  const auto created = Ask();
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  Run();
  EXPECT_EQ(engine_.Get(IdOf(*created))->state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  EXPECT_THAT(Catalogue(), IsEmpty());
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
}

TEST_F(Removal, APreviewSaysWhereTheFinalBackupGoes) {
  v1::RemoveTenantRequest request;
  request.set_name("tenants/acme");
  request.set_validate_only(true);
  EXPECT_THAT(tenants_.Remove(kCaller, request)->message(), HasSubstr("archive"));
  AddRepository();
  EXPECT_THAT(tenants_.Remove(kCaller, request)->message(), HasSubstr("repository main"));
  EXPECT_TRUE(Exists("acme"));
}

// The names of steps and facts are part of the stored state: an operation of an earlier version
// has these steps, and no word about a repository.
TEST_F(Removal, OneOfAnEarlierVersionGoesOnWithItsArchive) {
  AddRepository();
  operations::NewOperation operation;
  operation.kind = "remove";
  operation.target = "tenants/acme";
  operation.host = "h1";
  operation.facts = {{"keep_data", "false"}, {"was_running", "true"}};
  operation.locks = {TenantLock("acme")};
  const auto created = engine_.Create(operation, kv::Txn());
  ASSERT_TRUE(created.ok()) << created.status();
  std::vector<std::string> steps;
  for (const auto& step : created->steps()) steps.push_back(step.name());
  EXPECT_THAT(steps, ::testing::ElementsAre("stop", "backup", "remove-from-host", "release"));
  Succeeds(created);
  EXPECT_EQ(agents_.Count(Act::kBackup), 1);
  EXPECT_EQ(agents_.Count(Act::kSnapshot), 0);
}

}  // namespace
}  // namespace mtp
