// Pruning: what is asked of agents, and that the catalogue says what is in the repositories.
#include <gmock/gmock.h>

#include "tests/unit/controller/prune_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(BackupPrune, RemovesTheOldOnesAndSaysWhat) {
  const std::string first = BackUp("acme"), second = BackUp("acme"), newest = BackUp("acme");
  const auto response = Prune("acme");
  EXPECT_THAT(Names(response), ElementsAre(second, first));
  EXPECT_EQ(response->operation().kind(), "prune");
  EXPECT_EQ(response->operation().target(), "tenants/acme");
  const v1::Operation operation = Ended(response->operation());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.result().at("removed"), "2");
  EXPECT_EQ(operation.result().at("freed_bytes"), "1000");
  EXPECT_THAT(Catalogue(), ElementsAre(newest));
  const auto& asked = agents_.Last(Act::kForget);
  EXPECT_EQ(asked.host, "h1");
  EXPECT_EQ(asked.request.tenant(), "acme");
  EXPECT_EQ(asked.request.epoch(), Tenant("acme").epoch());
  EXPECT_EQ(asked.request.forget().fleet(), "f");
  EXPECT_EQ(asked.request.forget().repository().url(), "/srv/main/acme");
  EXPECT_EQ(asked.request.forget().repository().password(), kAcmePassword);
  EXPECT_THAT(asked.request.forget().backup_ids(), ElementsAre(second.substr(8), first.substr(8)));
  EXPECT_THAT(AllBytes(), Not(HasSubstr(kAcmePassword)));
}

TEST_F(BackupPrune, WithNothingToRemoveThereIsNoOperation) {
  BackUp("acme");
  const auto response = Prune("acme");
  EXPECT_THAT(Names(response), IsEmpty());
  EXPECT_FALSE(response->has_operation());
  EXPECT_TRUE(absl::IsNotFound(Prune("nobody").status()));
}

TEST_F(BackupPrune, ADryRunOnlySays) {
  const std::string first = BackUp("acme");
  BackUp("acme");
  const std::string before = AllBytes();
  v1::PruneBackupsRequest request;
  request.set_tenant("tenants/acme");
  request.set_keep_last(1);
  request.set_validate_only(true);
  request.set_keep_days(1);
  const auto response = backups_.Prune(kCaller, request);
  EXPECT_THAT(Names(response), ElementsAre(first));
  EXPECT_FALSE(response->has_operation());
  Run();
  EXPECT_EQ(AllBytes(), before);
}

TEST_F(BackupPrune, KeepsTheNewestVerifiedOne) {
  const std::string first = BackUp("acme"), second = BackUp("acme"), third = BackUp("acme");
  const std::string newest = BackUp("acme");
  Succeeds(Verify(second));
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_THAT(Catalogue(), ElementsAre(newest, second));
}

TEST_F(BackupPrune, RefusesBoundsThatMakeNoSense) {
  BackUp("acme");
  EXPECT_TRUE(absl::IsInvalidArgument(Prune("acme", -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune("acme", 10'001).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune("acme", 1, -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune("acme", 1, 36'501).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune("../acme").status()));
}

TEST_F(BackupPrune, ByDefaultSevenAndThirtyDaysAreKept) {
  const std::string oldest = BackUp("acme");
  MadeDaysAgo(29);
  BackUp("acme");
  MadeDaysAgo(100);
  for (int i = 0; i < 6; ++i) BackUp("acme");
  EXPECT_THAT(Names(Prune("acme", 0, 0)), ElementsAre(oldest));
}

TEST_F(BackupPrune, ByDefaultThoseOfThirtyDaysAreKept) {
  MadeDaysAgo(31);
  const std::string old = BackUp("acme");
  MadeDaysAgo(29);
  for (int i = 0; i < 8; ++i) BackUp("acme");
  EXPECT_THAT(Names(Prune("acme", 0, 0)), ElementsAre(old));
}

TEST_F(BackupPrune, NeedsTheTenantForItself) {
  BackUp("acme");
  BackUp("acme");
  agents_.outcomes[Act::kSnapshot] = FakeAgents::Running();
  ASSERT_TRUE(Create("acme").ok());
  const absl::Status busy = Prune("acme").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(busy)) << busy;
  EXPECT_THAT(std::string(busy.message()), HasSubstr("is busy"));
}

TEST_F(BackupPrune, DoesNotRemoveWhatIsBeingVerified) {
  const std::string first = BackUp("acme");
  BackUp("acme");
  agents_.outcomes[Act::kVerify] = FakeAgents::Running();
  ASSERT_TRUE(Verify(first).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Prune("acme").status()));
}

TEST_F(BackupPrune, DoesNotRemoveWhatIsBeingRestoredAsAnotherTenant) {
  const std::string first = BackUp("acme");
  BackUp("acme");
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  v1::RestoreBackupRequest request;
  request.set_name(first);
  request.set_tenant_id("copy");
  request.mutable_secrets()->set_telegram_token("333:copy");
  const auto restore = backups_.Restore(kCaller, request);
  ASSERT_TRUE(restore.ok()) << restore.status();
  Run();
  const absl::Status busy = Prune("acme").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(busy)) << busy;
  agents_.End(Act::kRestore, {});
  Succeeds(restore);
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(BackupPrune, DoesNotRemoveWhatIsBeingDrilled) {
  const std::string first = BackUp("acme");
  BackUp("acme");
  agents_.outcomes[Act::kDrill] = FakeAgents::Running();
  v1::DrillBackupRequest request;
  request.set_name(first);
  ASSERT_TRUE(backups_.Drill(kCaller, request).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Prune("acme").status()));
}

TEST_F(BackupPrune, ARepeatedRequestIsTheSameOperationWithTheSameBackups) {
  const std::string first = BackUp("acme");
  BackUp("acme");
  v1::PruneBackupsRequest request;
  request.set_tenant("tenants/acme");
  request.set_keep_last(1);
  request.set_keep_days(1);
  request.set_request_id("r1");
  const auto response = backups_.Prune(kCaller, request);
  ASSERT_TRUE(response.ok()) << response.status();
  Succeeds(response->operation());
  const auto again = backups_.Prune(kCaller, request);
  EXPECT_THAT(Names(again), ElementsAre(first));
  EXPECT_EQ(again->operation().name(), response->operation().name());
  EXPECT_EQ(agents_.Count(Act::kForget), 1);
}

TEST_F(BackupPrune, GoesFromRepositoryToRepositoryAndSumsUp) {
  AddRemote("cloud");
  for (const char* repository : {"main", "cloud", "main", "cloud"}) BackUpInto(repository);
  Forgets("1", "10");
  const v1::Operation operation = Pruned();
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(agents_.Count(Act::kForget), 2);
  EXPECT_EQ(operation.result().at("removed"), "2");
  EXPECT_EQ(operation.result().at("freed_bytes"), "20");
  EXPECT_THAT(Catalogue(), SizeIs(2));
}

TEST_F(BackupPrune, ARepositoryThatFailsKeepsItsBackupsAndNotTheOthersFromGoing) {
  AddRemote("cloud");
  const std::string in_main = BackUpInto("main");
  const std::string in_cloud = BackUpInto("cloud");
  BackUpInto("main");
  BackUpInto("cloud");
  Forgets("1", "10");
  // `cloud` is the first.
  agents_.on_begin = [this](const Act& request) {
    const bool cloud = request.forget().repository().url() != "/srv/main/acme";
    if (!request.has_forget()) return;
    if (cloud) {
      agents_.outcomes[Act::kForget] = FakeAgents::Failed(absl::DataLossError("it is damaged"));
    } else {
      Forgets("1", "10");
    }
  };
  const v1::Operation operation = Pruned();
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              HasSubstr("repository cloud: on host h1: it is damaged"));
  EXPECT_EQ(operation.result().at("removed"), "1");
  EXPECT_THAT(Catalogue(), SizeIs(3));
  EXPECT_TRUE(absl::IsNotFound(backups_.Get(in_main).status()));
  EXPECT_TRUE(backups_.Get(in_cloud).ok());
}

TEST_F(BackupPrune, SnapshotsThatAreGoneLeaveTheCatalogueAlsoWhenTheActionFails) {
  BackUp("acme");
  const std::string newest = BackUp("acme");
  agents_.outcomes[Act::kForget] = {
      v1::ACTION_STATE_FAILED, absl::AbortedError("locked"), {{"removed", "1"}}};
  const v1::Operation operation = Pruned();
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(operation.result().at("removed"), "1");
  EXPECT_THAT(Catalogue(), ElementsAre(newest));
}

TEST_F(BackupPrune, ACancelledOneKeepsWhatIsNotKnownToBeGone) {
  BackUp("acme");
  BackUp("acme");
  agents_.outcomes[Act::kForget] = FakeAgents::Running();
  const auto response = Prune("acme");
  ASSERT_TRUE(response.ok()) << response.status();
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(response->operation())).ok());
  EXPECT_EQ(Ended(response->operation()).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(Catalogue(), SizeIs(2));
  Forgets("1", "1");
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_THAT(Catalogue(), SizeIs(1));
}

TEST_F(BackupPrune, OfARemovedTenantToo) {
  BackUp("acme");
  const std::string newest = BackUp("acme");
  Remove("acme");
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_THAT(Catalogue(), ElementsAre(newest));
}

TEST_F(BackupPrune, WhatCalledOffOnesMayHaveLeftGoesFirstOfAll) {
  const std::string left = CalledOff();
  const auto response = Prune("acme");
  EXPECT_THAT(Names(response), ElementsAre("backups/" + left));
  ASSERT_EQ(Ended(response->operation()).state(), v1::OPERATION_STATE_SUCCEEDED);
  const auto& asked = agents_.Last(Act::kForget);
  EXPECT_EQ(asked.host, "h1");
  EXPECT_THAT(asked.request.forget().backup_ids(), ElementsAre(left));
  EXPECT_TRUE(absl::IsNotFound(Prune("acme").status()));
}

TEST_F(BackupPrune, WhatCalledOffOnesMayHaveLeftGoesWithTheOldOnes) {
  const std::string old = BackUp("acme"), newest = BackUp("acme"), left = CalledOff();
  EXPECT_THAT(Names(Prune("acme")), ElementsAre(old, "backups/" + left));
  Run();
  EXPECT_THAT(Catalogue(), ElementsAre(newest));
  EXPECT_THAT(Names(Prune("acme")), IsEmpty());
}

TEST_F(BackupPrune, WhatCouldNotBeTakenAwayIsTriedAgain) {
  const std::string left = CalledOff();
  agents_.outcomes[Act::kForget] = FakeAgents::Failed(absl::FailedPreconditionError("read-only"));
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_FAILED);
  Forgets("1", "1");
  EXPECT_THAT(Names(Prune("acme")), ElementsAre("backups/" + left));
}

}  // namespace
}  // namespace mtp
