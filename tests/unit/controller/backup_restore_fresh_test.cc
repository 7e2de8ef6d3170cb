// Restoring as a tenant that is not there: removed before, or under another name.
#include <gmock/gmock.h>

#include "tests/unit/controller/restore_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(BackupRestore, ARemovedTenantComesBackAsItWas) {
  const std::string fingerprint = Tenant("acme").bot_fingerprint();
  Remove("acme");
  AddHost("h2", 16384);
  Succeeds(Restore(backup_));
  const auto tenant = Tenant("acme");
  EXPECT_EQ(tenant.epoch(), 2);
  EXPECT_TRUE(tenant.provisioned());
  EXPECT_EQ(tenant.bot_fingerprint(), fingerprint);
  EXPECT_EQ(tenant.env_prefix(), "ACME");
  EXPECT_EQ(agents_.Last(Act::kRestore).host, tenant.host());
  EXPECT_EQ(agents_.Last(Act::kRestore).request.epoch(), 2);
  const auto apply = agents_.Last(Act::kApply).request;
  EXPECT_EQ(apply.epoch(), 2);
  EXPECT_EQ(apply.apply().port(), tenant.port());
  EXPECT_EQ(apply.apply().kept_data(), v1::KEPT_DATA_USE);
  EXPECT_EQ(apply.apply().secrets().telegram_token(), kToken);
  EXPECT_EQ(apply.apply().secrets().anthropic_key(), kAnthropicKey);
  EXPECT_EQ(apply.apply().secrets().gateway_token(), gateway_);
  // Its bot is its own again.
  v1::ProvisionTenantRequest thief;
  thief.set_tenant_id("thief");
  thief.mutable_secrets()->set_telegram_token("111:other");
  EXPECT_TRUE(absl::IsAlreadyExists(tenants_.Provision(kCaller, thief).status()));
}

TEST_F(BackupRestore, TheDataIsThereBeforeTheTenantIs) {
  Remove("acme");
  std::vector<Act::ActionCase> order;
  agents_.on_begin = [&order](const Act& request) { order.push_back(request.action_case()); };
  Succeeds(Restore(backup_));
  EXPECT_THAT(order, ::testing::ElementsAre(Act::kRestore, Act::kApply));
}

TEST_F(BackupRestore, ATenantThatWasStoppedWhenItWasBackedUpIsStartedWhenItComesBack) {
  Stop("acme");
  backup_ = BackUp("acme");
  EXPECT_EQ(backups_.Get(backup_)->spec().run_policy(), v1::RUN_POLICY_STOP);
  Remove("acme");
  Succeeds(Restore(backup_));
  EXPECT_EQ(Tenant("acme").spec().run_policy(), v1::RUN_POLICY_RUN);
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().spec().run_policy(), v1::RUN_POLICY_RUN);
}

TEST_F(BackupRestore, SecretsThatAreGivenReplaceTheBackups) {
  Remove("acme");
  v1::RestoreBackupRequest request = Request();
  request.mutable_secrets()->set_telegram_token("333:NEW-MARKER");
  request.mutable_secrets()->set_gateway_token("ignored");
  Succeeds(Ask(request));
  const auto& secrets = agents_.Last(Act::kApply).request.apply().secrets();
  EXPECT_EQ(secrets.telegram_token(), "333:NEW-MARKER");
  EXPECT_EQ(secrets.anthropic_key(), kAnthropicKey);
  EXPECT_EQ(secrets.gateway_token(), gateway_);
  EXPECT_THAT(AllBytes(), Not(HasSubstr("MARKER")));
}

TEST_F(BackupRestore, AsAnotherNameItIsASecondTenant) {
  v1::RestoreBackupRequest request = Request("copy");
  request.mutable_secrets()->set_telegram_token("333:copy");
  Succeeds(Ask(request));
  EXPECT_TRUE(Exists("acme"));
  EXPECT_EQ(Tenant("copy").env_prefix(), "COPY");
  const auto restore = agents_.Last(Act::kRestore).request;
  EXPECT_EQ(restore.tenant(), "copy");
  EXPECT_EQ(restore.restore().backup().tenant(), "acme");
  EXPECT_EQ(restore.restore().repository().url(), "/srv/main/acme");
  EXPECT_EQ(restore.restore().repository().password(), kAcmePassword);
  const auto apply = agents_.Last(Act::kApply).request;
  EXPECT_EQ(apply.tenant(), "copy");
  EXPECT_EQ(apply.apply().secrets().gateway_token().size(), 64u);
  EXPECT_NE(apply.apply().secrets().gateway_token(), gateway_);
}

TEST_F(BackupRestore, ABotThatIsTakenIsRefused) {
  absl::Status status = Restore(backup_, "copy").status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("acme"), Not(HasSubstr("MARKER"))));
  Remove("acme");
  Provision("other");
  status = Restore(backup_).status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_FALSE(Exists("acme"));
}

TEST_F(BackupRestore, WithoutRoomNothingIsReserved) {
  Remove("acme");
  observations_.Update("h1", [](HostObservation& seen) { seen.status.set_allocatable_mib(10); });
  const absl::Status status = Restore(backup_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(Reserved("h1"), 0);
}

TEST_F(BackupRestore, ThePlaceMayBeChosen) {
  Remove("acme");
  AddHost("h2");
  v1::RestoreBackupRequest request = Request();
  request.set_host("h3");
  EXPECT_TRUE(absl::IsNotFound(Ask(request).status()));
  for (const char* host : {"h2", "h1"}) {
    request.set_host(host);
    Succeeds(Ask(request));
    EXPECT_EQ(Tenant("acme").host(), host);
    EXPECT_EQ(Tenant("acme").spec().host(), "");
    Remove("acme");
  }
}

TEST_F(BackupRestore, APinToALostHostIsReplacedByTheHostThatIsAskedFor) {
  auto row = *tables_.backups.Get(backup_.substr(sizeof("backups/") - 1));
  row.value.mutable_backup()->mutable_spec()->set_host("lost");
  kv::Txn txn;
  tables_.backups.Put(txn, row.id, row.value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  Remove("acme");
  const auto refused = Restore(backup_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--host says where"));
  v1::RestoreBackupRequest request = Request();
  request.set_host("h1");
  Succeeds(Ask(request));
  EXPECT_EQ(Tenant("acme").spec().host(), "h1");
}

TEST_F(BackupRestore, KeptDataOfThatNameIsPutAsideAndMentioned) {
  Remove("acme");
  KeepDataOn("h1", "acme");
  v1::RestoreBackupRequest request = Request();
  request.set_validate_only(true);
  const auto preview = Ask(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_THAT(preview->message(), HasSubstr("put aside for a day"));
  const v1::Operation operation = Ended(Restore(backup_));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_THAT(operation.steps(0).message(), HasSubstr("put aside for a day"));
}

TEST_F(BackupRestore, APreviewTellsTheHostAndChangesNothing) {
  v1::RestoreBackupRequest request = Request();
  request.set_validate_only(true);
  std::string before = AllBytes();
  auto preview = Ask(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_THAT(preview->message(), HasSubstr("kept aside for a day"));
  EXPECT_EQ(preview->host(), "h1");
  EXPECT_EQ(AllBytes(), before);
  Remove("acme");
  before = AllBytes();
  preview = Ask(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->name(), "");
  EXPECT_EQ(preview->host(), "h1");
  EXPECT_THAT(preview->message(), HasSubstr("new tenant"));
  EXPECT_EQ(AllBytes(), before);
}

TEST_F(BackupRestore, ARepeatedRequestIsTheSameOperation) {
  Remove("acme");
  v1::RestoreBackupRequest request = Request();
  request.set_request_id("r1");
  const auto first = Ask(request);
  Succeeds(first);
  const auto again = Ask(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
  EXPECT_EQ(agents_.Count(Act::kRestore), 1);
}

TEST_F(BackupRestore, AFreshRestoreThatFailsLeavesNoClaimAndAsksForNoRemoval) {
  Remove("acme");
  const int removals = agents_.Count(Act::kRemove);
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::DataLossError("a file differs"));
  const v1::Operation operation = Fails(Restore(backup_));
  EXPECT_THAT(operation.error().message(), Not(HasSubstr("stays on host")));
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(Reserved("h1"), 0);
  // A folder of that name could only be an earlier tenant's.
  EXPECT_EQ(agents_.Count(Act::kRemove), removals);
  agents_.outcomes.erase(Act::kRestore);
  Succeeds(Restore(backup_));
  EXPECT_EQ(Tenant("acme").epoch(), 3);
}

TEST_F(BackupRestore, AFreshTenantThatDoesNotStartIsTakenOffWithItsData) {
  Remove("acme");
  const int removals = agents_.Count(Act::kRemove);
  agents_.outcomes[Act::kApply] = FakeAgents::Failed(absl::InternalError("never ready"));
  const v1::Operation operation = Fails(Restore(backup_));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("never ready"), Not(HasSubstr("stays")), Not(HasSubstr("kept"))));
  ASSERT_EQ(agents_.Count(Act::kRemove), removals + 1);
  EXPECT_FALSE(agents_.Last(Act::kRemove).request.remove().keep_data());
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(Reserved("h1"), 0);
}

TEST_F(BackupRestore, AFreshRestoreThatIsCancelledTooLateSaysWhatIsLeft) {
  Remove("acme");
  const int removals = agents_.Count(Act::kRemove);
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  agents_.cancels_too_late = true;
  const v1::Operation operation = Cancelled(Restore(backup_));
  EXPECT_THAT(operation.error().message(), HasSubstr("the restored data stays on host h1"));
  EXPECT_EQ(agents_.Count(Act::kRemove), removals);
  EXPECT_FALSE(Exists("acme"));
}

TEST_F(BackupRestore, AFreshRestoreKeepsItsClaimsUntilItsHostSaysHowItEnded) {
  Remove("acme");
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  const auto created = Restore(backup_);
  Run();
  agents_.away.insert("h1");
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_COMPENSATING);
  EXPECT_TRUE(Exists("acme"));
  agents_.away.clear();
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(Reserved("h1"), 0);
}

TEST_F(BackupRestore, AFreshStartThatNeverReachedItsHostSaysWhatIsLeft) {
  Remove("acme");
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  const auto created = Restore(backup_);
  Run();
  agents_.End(Act::kRestore, {});
  // The host goes between the two actions.
  engine_.Wake(IdOf(*created));
  executor_.RunNext();
  agents_.away.insert("h1");
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  Run();
  // Nobody can tell from the first answer.
  agents_.lost_cancels = 1;
  agents_.away.clear();
  const v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED) << operation.ShortDebugString();
  EXPECT_THAT(operation.error().message(), HasSubstr("the restored data stays on host h1"));
  EXPECT_FALSE(Exists("acme"));
}

}  // namespace
}  // namespace mtp
