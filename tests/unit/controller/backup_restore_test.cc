// Restoring into a tenant that is placed.
#include <gmock/gmock.h>

#include "controller/state/fleet.h"
#include "tests/unit/controller/restore_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(BackupRestore, APlacedTenantGetsItsDataBackAndRuns) {
  const int applies = agents_.Count(Act::kApply);
  const auto created = Restore(backup_);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->kind(), "restore");
  EXPECT_EQ(created->target(), "tenants/acme");
  EXPECT_EQ(created->host(), "h1");
  EXPECT_EQ(TransitionKind(tables_, "acme"), "restore");
  Succeeds(created);
  const auto asked = agents_.Last(Act::kRestore);
  EXPECT_EQ(asked.host, "h1");
  EXPECT_EQ(asked.request.tenant(), "acme");
  EXPECT_EQ(asked.request.epoch(), 1);
  EXPECT_EQ("backups/" + asked.request.restore().backup().backup_id(), backup_);
  EXPECT_EQ(asked.request.restore().backup().tenant(), "acme");
  EXPECT_EQ(asked.request.restore().backup().fleet(), "f");
  EXPECT_EQ(asked.request.restore().backup().manifest_sha256(), "abcd");
  EXPECT_EQ(asked.request.restore().repository().url(), "/srv/main/acme");
  EXPECT_EQ(asked.request.restore().repository().password(), kAcmePassword);
  EXPECT_EQ(agents_.Count(Act::kApply), applies + 1);
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().kept_data(), v1::KEPT_DATA_USE);
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().secrets().gateway_token(), gateway_);
  EXPECT_EQ(Tenant("acme").epoch(), 1);
  EXPECT_EQ(engine_.Get(IdOf(*created))->result().at("backup"), backup_);
}

TEST_F(BackupRestore, AStoppedTenantStaysStopped) {
  Stop("acme");
  const int applies = agents_.Count(Act::kApply);
  const v1::Operation operation = Ended(Restore(backup_));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(agents_.Count(Act::kRestore), 1);
  EXPECT_EQ(agents_.Count(Act::kApply), applies);
  EXPECT_EQ(agents_.Count(Act::kStart), 0);
  EXPECT_THAT(operation.steps(2).message(), HasSubstr("left stopped"));
}

TEST_F(BackupRestore, APlacedTenantsHostAndSecretsAreItsOwn) {
  AddHost("h2");
  v1::RestoreBackupRequest request = Request();
  request.set_host("h2");
  absl::Status status = Ask(request).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("h1"), HasSubstr("h2")));
  request = Request();
  request.mutable_secrets()->set_openai_key("k");
  status = Ask(request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  request = Request();
  request.set_host("h1");
  request.mutable_secrets()->set_gateway_token("ignored");
  Succeeds(Ask(request));
}

TEST_F(BackupRestore, NeverIntoAnotherTenantsPlace) {
  Provision("beta", "222:other");
  const absl::Status status = Restore(backup_, "beta").status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_EQ(agents_.Count(Act::kRestore), 0);
}

TEST_F(BackupRestore, AFailedRestoreStartsThePlacedTenantAgain) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::DataLossError("a file differs"));
  const v1::Operation operation = Fails(Restore(backup_));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("a file differs"), Not(HasSubstr("kept aside"))));
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
  EXPECT_TRUE(Exists("acme"));
}

TEST_F(BackupRestore, AFailedRestoreLeavesAStoppedTenantStopped) {
  Stop("acme");
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::DataLossError("a file differs"));
  Fails(Restore(backup_));
  EXPECT_EQ(agents_.Count(Act::kStart), 0);
}

TEST_F(BackupRestore, AFailedStartSaysThatTheDataStays) {
  agents_.outcomes[Act::kRestore].result["previous_data"] = ".replaced/acme-1";
  agents_.outcomes[Act::kApply] = FakeAgents::Failed(absl::InternalError("never ready"));
  const v1::Operation operation = Fails(Restore(backup_));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("never ready"),
                    HasSubstr("kept aside on host h1 (data/.replaced/acme-1) for a day"),
                    Not(HasSubstr("undoing"))));
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
  EXPECT_EQ(agents_.Count(Act::kStart), 0);
  EXPECT_TRUE(Exists("acme"));
}

TEST_F(BackupRestore, ACancelledRestoreStartsThePlacedTenantAgain) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  const v1::Operation operation = Cancelled(Restore(backup_));
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  EXPECT_THAT(operation.error().message(), Not(HasSubstr("kept aside")));
}

TEST_F(BackupRestore, ACancelThatComesTooLateSaysThatTheDataStays) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  agents_.cancels_too_late = true;
  const v1::Operation operation = Cancelled(Restore(backup_));
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
  EXPECT_THAT(operation.error().message(), HasSubstr("is in place and stays"));
}

TEST_F(BackupRestore, ACancelledStartSaysThatTheDataStays) {
  agents_.outcomes[Act::kApply] = FakeAgents::Running();
  const v1::Operation operation = Cancelled(Restore(backup_));
  EXPECT_EQ(agents_.Count(Act::kStart), 0);
  EXPECT_THAT(operation.error().message(), HasSubstr("is in place and stays"));
}

TEST_F(BackupRestore, UndoingWaitsUntilTheHostSaysHowTheRestoreEnded) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  const auto created = Restore(backup_);
  Run();
  agents_.away.insert("h1");
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_COMPENSATING);
  agents_.away.clear();
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kStart), 1);
}

TEST_F(BackupRestore, StatusShowsItAsStartingAndAFailedBackup) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  ASSERT_TRUE(Restore(backup_).ok());
  Run();
  state::v1::TenantRecord record = Tenant("acme");
  record.set_backup_failure("no room");
  const kv::Row<state::v1::TenantRecord> row{"acme", record, 1};
  const v1::Tenant shown =
      ToTenant(row, TransitionKind(tables_, "acme"), observations_.GetHost("h1"));
  EXPECT_EQ(shown.status().state(), v1::TENANT_STATE_STARTING);
  EXPECT_EQ(shown.status().backup_failure(), "no room");
}

}  // namespace
}  // namespace mtp
