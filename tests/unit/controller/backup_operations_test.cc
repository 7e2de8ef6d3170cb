// Backing up and verifying: what is asked of agents, and what is recorded.
#include <gmock/gmock.h>

#include "common/base/timestamps.h"
#include "tests/unit/controller/backups_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class BackupOperations : public BackupsFixture {
 protected:
  BackupOperations() {
    Provision("acme");
    AddRepository();
  }
  v1::Repository Main() { return repositories_.List()->front(); }
  std::string FailBackup(const std::string& why) {
    agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Failed(absl::InternalError(why));
    const v1::Operation operation = Ended(Create("acme"));
    EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
    agents_.outcomes[Act::kSnapshot] = {v1::ACTION_STATE_DONE, absl::OkStatus(), SnapshotResult()};
    return operation.error().message();
  }
};

TEST_F(BackupOperations, RecordsWhatTheAgentSays) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/acme");
  const auto created = backups_.Create(kCaller, request);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->kind(), "backup");
  EXPECT_EQ(created->target(), "tenants/acme");
  EXPECT_EQ(created->host(), "h1");
  const v1::Operation operation = Ended(created);
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  const std::string name = "backups/" + IdOf(operation);
  EXPECT_EQ(operation.result().at("backup"), name);

  const auto backup = backups_.Get(name);
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_EQ(backup->name(), name);
  EXPECT_EQ(backup->tenant(), "acme");
  EXPECT_EQ(backup->host(), "h1");
  EXPECT_EQ(backup->repository(), "main");
  EXPECT_EQ(absl::FormatTime(FromTimestamp(backup->start_time()), absl::UTCTimeZone()),
            "2026-01-02T03:04:05+00:00");
  EXPECT_EQ(backup->duration().seconds(), 61);
  EXPECT_EQ(backup->duration().nanos(), 500'000'000);
  EXPECT_EQ(backup->pause().seconds(), 0);
  EXPECT_EQ(backup->pause().nanos(), 1'234'000);
  EXPECT_EQ(backup->bytes_scanned(), 1000);
  EXPECT_EQ(backup->bytes_added(), 100);
  EXPECT_EQ(backup->files(), 12);
  EXPECT_EQ(backup->skipped(), 1);
  EXPECT_EQ(backup->databases(), 3);
  EXPECT_THAT(backup->damaged_databases(), ElementsAre("a \"b\".db"));
  EXPECT_EQ(backup->image_digest(), "sha256:1");
  EXPECT_EQ(backup->spec().run_policy(), v1::RUN_POLICY_RUN);
  EXPECT_FALSE(backup->has_verify_time());
  EXPECT_EQ(backup->reason(), "manual");
  EXPECT_EQ(backup->manifest_sha256(), "abcd");
  EXPECT_EQ(backup->snapshot(), "5a5a");
  EXPECT_EQ(FromTimestamp(Tenant("acme").last_backup_time()), FromTimestamp(backup->start_time()));
}

TEST_F(BackupOperations, TheAgentIsToldWhereAndUnderWhichName) {
  const std::string name = BackUp("acme");
  const auto asked = agents_.Last(Act::kSnapshot);
  EXPECT_EQ(asked.host, "h1");
  EXPECT_EQ(asked.request.tenant(), "acme");
  EXPECT_EQ(asked.request.epoch(), Tenant("acme").epoch());
  const auto& snapshot = asked.request.snapshot();
  EXPECT_EQ("backups/" + snapshot.backup_id(), name);
  EXPECT_EQ(asked.request.key(), snapshot.backup_id() + "/snapshot");
  EXPECT_EQ(snapshot.fleet(), "f");
  EXPECT_EQ(snapshot.repository().url(), "/srv/main/acme");
  EXPECT_EQ(snapshot.repository().password(), kAcmePassword);
}

TEST_F(BackupOperations, WaitsForItsEndWithOneRequest) {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  const auto created = Create("acme");
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_RUNNING);
  // The fake agent complains when a look again asks for anything else under the same key.
  agents_.End(Act::kSnapshot, {v1::ACTION_STATE_DONE, absl::OkStatus(), SnapshotResult()});
  Succeeds(created);
  EXPECT_EQ(agents_.Count(Act::kSnapshot), 1);
}

TEST_F(BackupOperations, OneAtATimeForATenant) {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  ASSERT_TRUE(Create("acme").ok());
  const absl::Status second = Create("acme").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("is busy"));
}

TEST_F(BackupOperations, ARepeatedRequestIsTheSameOperation) {
  const auto first = Create("acme", "r1");
  Succeeds(first);
  Remove("acme");
  const auto again = Create("acme", "r1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
  EXPECT_TRUE(absl::IsAlreadyExists(Create("beta", "r1").status()));
}

TEST_F(BackupOperations, APreviewChangesNothing) {
  const std::string name = BackUp("acme");
  const std::string before = AllBytes();
  v1::CreateBackupRequest create;
  create.set_tenant("tenants/acme");
  create.set_validate_only(true);
  const auto backup = backups_.Create(kCaller, create);
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_EQ(backup->name(), "");
  EXPECT_EQ(backup->kind(), "backup");
  EXPECT_EQ(backup->host(), "h1");
  v1::VerifyBackupRequest verify;
  verify.set_name(name);
  verify.set_validate_only(true);
  const auto verification = backups_.Verify(kCaller, verify);
  ASSERT_TRUE(verification.ok()) << verification.status();
  EXPECT_EQ(verification->name(), "");
  EXPECT_EQ(verification->target(), name);
  Run();
  EXPECT_EQ(AllBytes(), before);
}

TEST_F(BackupOperations, WhatIsUnknownIsNamedWithTheCommandThatShowsAll) {
  const auto expect = [](const absl::Status& status, const char* command) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(command));
  };
  const std::string no_such = "backups/01ARZ3NDEKTSV4RRFFQ69G5FAV";
  expect(Create("nobody").status(), "`mtp-cli status`");
  expect(backups_.Get(no_such).status(), "`mtp-cli backup list`");
  expect(Verify(no_such).status(), "`mtp-cli backup list`");
  expect(Restore(no_such).status(), "`mtp-cli backup list`");
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/acme");
  request.set_repository("repositories/none");
  expect(backups_.Create(kCaller, request).status(), "`mtp-cli repository list`");
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.Get("backups/x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.Get("x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.List("acme").status()));
  request.set_repository("main");
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.Create(kCaller, request).status()));
}

TEST_F(BackupsFixture, WithoutARepositoryTheFirstStepIsNamed) {
  Provision("acme");
  const absl::Status status = Create("acme").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(
      status.message(),
      "no repository for backups was added yet; begin with `mtp-cli repository add NAME URL`");
}

TEST_F(BackupOperations, TheNamedRepositoryIsUsed) {
  AddRepository("second");
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/acme");
  request.set_repository("repositories/second");
  Succeeds(backups_.Create(kCaller, request));
  EXPECT_EQ(agents_.Last(Act::kSnapshot).request.snapshot().repository().url(), "/srv/second/acme");
  const auto all = *repositories_.List();
  EXPECT_EQ(all[0].backups(), 0);
  EXPECT_FALSE(all[0].has_last_success_time());
  EXPECT_EQ(all[1].backups(), 1);
  EXPECT_TRUE(all[1].has_last_success_time());
}

TEST_F(BackupOperations, WithoutANamedOneItGoesWhereThePolicySays) {
  AddRepository("second");
  AddRepository("third");
  const auto goes_into = [this] {
    BackUp("acme");
    return agents_.Last(Act::kSnapshot).request.snapshot().repository().url();
  };
  SetPolicyRepository("", "second");
  EXPECT_EQ(goes_into(), "/srv/second/acme");
  SetPolicyRepository("acme", "third");
  EXPECT_EQ(goes_into(), "/srv/third/acme");
  SetPolicyRepository("acme", "");
  EXPECT_EQ(goes_into(), "/srv/main/acme");
}

TEST_F(BackupOperations, AFailureIsNotedUntilTheNextSuccess) {
  BackUp("acme");
  const auto success = Main().last_success_time();
  EXPECT_EQ(Main().backups(), 1);
  clock_.Advance(absl::Hours(1));
  const std::string error = FailBackup("the repository is full");
  EXPECT_THAT(error, HasSubstr("on host h1: the repository is full"));
  EXPECT_EQ(Tenant("acme").backup_failure(), error);
  EXPECT_EQ(Main().last_failure(), error);
  EXPECT_GT(FromTimestamp(Main().last_failure_time()), FromTimestamp(success) + absl::Hours(1));
  EXPECT_EQ(FromTimestamp(Main().last_success_time()), FromTimestamp(success));
  EXPECT_EQ(Main().backups(), 1);
  EXPECT_THAT(*backups_.List(""), ::testing::SizeIs(1));

  BackUp("acme");
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
  EXPECT_EQ(Main().last_failure(), "");
  EXPECT_FALSE(Main().has_last_failure_time());
  EXPECT_GT(FromTimestamp(Main().last_success_time()), FromTimestamp(success));
  EXPECT_EQ(Main().backups(), 2);
}

TEST_F(BackupOperations, ACancelledOneHasNotFailed) {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  const auto created = Create("acme");
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.CancelAction("h1", IdOf(*created) + "/snapshot")->state(),
            v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(Tenant("acme").backup_failure(), "");
  EXPECT_EQ(Main().last_failure(), "");
}

TEST_F(BackupOperations, CalledOffItLeavesNoSnapshotBehind) {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  agents_.cancels_too_late = true;
  const auto created = Create("acme");
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  const v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(agents_.Last(Act::kForget).request.forget().backup_ids(),
              ::testing::ElementsAre(IdOf(*created)));
  EXPECT_EQ(operation.result().count("removed"), 0u);
  EXPECT_THAT(*backups_.List(""), IsEmpty());
  EXPECT_THAT(*tables_.left_snapshots.List(), IsEmpty());
}

// Its tenant may have to be placed elsewhere.
TEST_F(BackupOperations, CalledOffItDoesNotWaitForALostHost) {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
  const auto created = Create("acme");
  Run();
  agents_.away.insert("h1");
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kForget), 0);
  EXPECT_TRUE(tables_.left_snapshots.Get(IdOf(*created)).ok());
  EXPECT_THAT(*backups_.List(""), IsEmpty());
}

TEST_F(BackupOperations, AnAnswerWithoutASnapshotIsAFailure) {
  for (const char* lacking : {"snapshot", "manifest_sha256", "start_time"}) {
    agents_.outcomes[Act::kSnapshot].result = SnapshotResult();
    agents_.outcomes[Act::kSnapshot].result.erase(lacking);
    const v1::Operation operation = Ended(Create("acme"));
    EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED) << lacking;
    EXPECT_EQ(Tenant("acme").backup_failure(), operation.error().message());
  }
  EXPECT_THAT(*backups_.List(""), IsEmpty());
}

TEST_F(BackupOperations, NoAgentMovesABackupToAnotherRepository) {
  AddRepository("second");
  auto result = SnapshotResult();
  result["repository"] = "second";
  result["backup"] = "backups/01ARZ3NDEKTSV4RRFFQ69G5FAV";
  agents_.outcomes[Act::kSnapshot].result = result;
  const std::string name = BackUp("acme");
  ASSERT_TRUE(backups_.Get(name).ok());
  EXPECT_EQ(backups_.Get(name)->repository(), "main");
}

TEST_F(BackupOperations, TheCatalogueIsNewestFirstAndOutlivesTheTenant) {
  Provision("beta", "222:other");
  const std::string first = BackUp("acme");
  const std::string other = BackUp("beta");
  const std::string last = BackUp("acme");
  Remove("acme");
  const auto names = [this](const std::string& tenant) {
    std::vector<std::string> listed;
    const auto backups = backups_.List(tenant);
    for (const v1::Backup& backup : *backups) listed.push_back(backup.name());
    return listed;
  };
  EXPECT_THAT(names(""), ElementsAre(last, other, first));
  EXPECT_THAT(names("tenants/acme"), ElementsAre(last, first));
  EXPECT_THAT(names("tenants/nobody"), IsEmpty());
}

TEST_F(BackupOperations, NoSecretIsInPlainAnywhere) {
  const std::string name = BackUp("acme");
  FailBackup("no");
  const std::string gateway = agents_.Last(Act::kApply).request.apply().secrets().gateway_token();
  ASSERT_EQ(gateway.size(), 64u);
  Succeeds(Verify(name));
  Succeeds(Restore(name));
  EXPECT_THAT(AllBytes(), AllOf(Not(HasSubstr("MARKER")), Not(HasSubstr(kRootKey)),
                                Not(HasSubstr(kAcmePassword)), Not(HasSubstr(gateway))));
}

TEST_F(BackupOperations, AVerificationSetsTheTimeOfItsEnd) {
  const std::string name = BackUp("acme");
  agents_.outcomes[Act::kVerify] = mtp::testing::FakeAgents::Running();
  const auto created = Verify(name);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->kind(), "verify-backup");
  EXPECT_EQ(created->target(), name);
  Run(absl::Minutes(5));
  EXPECT_FALSE(backups_.Get(name)->has_verify_time());
  const absl::Time before = clock_.Now();
  agents_.End(Act::kVerify, {});
  Succeeds(created);
  EXPECT_GE(FromTimestamp(backups_.Get(name)->verify_time()), before);
  const auto asked = agents_.Last(Act::kVerify).request;
  EXPECT_EQ(asked.tenant(), "acme");
  EXPECT_EQ("backups/" + asked.verify().backup().backup_id(), name);
  EXPECT_EQ(asked.verify().backup().tenant(), "acme");
  EXPECT_EQ(asked.verify().backup().fleet(), "f");
  EXPECT_EQ(asked.verify().backup().manifest_sha256(), "abcd");
  EXPECT_EQ(asked.verify().repository().password(), kAcmePassword);
}

TEST_F(BackupOperations, AFailedVerificationSetsNone) {
  const std::string name = BackUp("acme");
  agents_.outcomes[Act::kVerify] =
      mtp::testing::FakeAgents::Failed(absl::DataLossError("a file differs"));
  const v1::Operation operation = Ended(Verify(name));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("a file differs"));
  EXPECT_FALSE(backups_.Get(name)->has_verify_time());
}

TEST_F(BackupOperations, AVerificationLocksTheBackupAndNotTheTenant) {
  const std::string name = BackUp("acme");
  agents_.outcomes[Act::kVerify] = mtp::testing::FakeAgents::Running();
  const auto verification = Verify(name);
  Run();
  EXPECT_TRUE(absl::IsFailedPrecondition(Verify(name).status()));
  // Its agent does one thing for a tenant at a time; the backup waits and goes on.
  const auto backup = Create("acme");
  EXPECT_EQ(Ended(backup).state(), v1::OPERATION_STATE_RUNNING);
  agents_.End(Act::kVerify, {});
  Succeeds(verification);
  Succeeds(backup);
}

TEST_F(BackupOperations, ARemovedTenantsBackupIsVerifiedWhereItWasWritten) {
  const std::string name = BackUp("acme");
  Remove("acme");
  AddHost("h2");
  Succeeds(Verify(name));
  EXPECT_EQ(agents_.Last(Act::kVerify).host, "h1");
  EXPECT_EQ(agents_.Last(Act::kVerify).request.epoch(), 1);
}

TEST_F(BackupOperations, ATenantThatMovedIsVerifiedOnItsHost) {
  const std::string name = BackUp("acme");
  Remove("acme");
  AddHost("h2");
  v1::RestoreBackupRequest request;
  request.set_name(name);
  request.set_host("h2");
  Succeeds(backups_.Restore(kCaller, request));
  Succeeds(Verify(name));
  EXPECT_EQ(agents_.Last(Act::kVerify).host, "h2");
  EXPECT_EQ(agents_.Last(Act::kVerify).request.epoch(), 2);
}

TEST_F(BackupOperations, WithoutAHostThatCouldVerifyItSaysSo) {
  const std::string name = BackUp("acme");
  Remove("acme");
  kv::Txn txn;
  txn.Delete(tables_.hosts.Key("h1"));
  ASSERT_TRUE(store_->Commit(txn).ok());
  const absl::Status status = Verify(name).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("h1"));
}

}  // namespace
}  // namespace mtp
