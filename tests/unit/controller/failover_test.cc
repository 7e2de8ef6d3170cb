// A tenant of a lost host, placed elsewhere by the keeper or by an operator's word, and what
// becomes of its old copy.
#include <gmock/gmock.h>

#include "tests/unit/controller/failover_fixture.h"

namespace mtp {
namespace {

using mtp::testing::FakeAgents;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(FailoverTest, ALostHostsTenantIsRestoredElsewhereOnceItsLeaseIsOver) {
  Lease("acme");
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Seconds(69));
  EXPECT_EQ(Tenant("acme").host(), "h1");
  EXPECT_THAT(Message(), HasSubstr("lease"));
  Run(absl::Minutes(1));
  const auto tenant = Tenant("acme");
  EXPECT_EQ(tenant.host(), "h2");
  EXPECT_EQ(tenant.epoch(), 2);
  EXPECT_TRUE(tenant.leased());
  EXPECT_EQ(agents_.Last(Act::kRestore).host, "h2");
  EXPECT_EQ(agents_.Last(Act::kApply).host, "h2");
  EXPECT_EQ(agents_.Last(Act::kApply).request.epoch(), 2);
  // It keeps its own secrets.
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().secrets().gateway_token(), gateway_);
  EXPECT_EQ(Reserved("h1"), 0);
  EXPECT_EQ(Reserved("h2"), 1024);
}

TEST_F(FailoverTest, ItsOldHostReservesForItUntilAllIsDone) {
  Lease("acme");
  Run(absl::Minutes(2));
  Lose("h1");
  agents_.outcomes[Act::kApply] = FakeAgents::Running();
  Run(absl::Minutes(2));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  EXPECT_EQ(Reserved("h1"), 1024);
  EXPECT_EQ(Reserved("h2"), 1024);
  // A host that is back meanwhile is not told that it may run the tenant.
  IsBack("h1");
  EXPECT_THAT(Named("h1"), IsEmpty());
}

TEST_F(FailoverTest, AFailureLeavesItPlacedWhereItWasUnderAHigherEpochAndIsTriedAgain) {
  Lease("acme");
  const int32_t port = Tenant("acme").port();
  Run(absl::Minutes(2));
  Lose("h1");
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::InternalError("no such snapshot"));
  Run(absl::Seconds(100));
  const auto tenant = Tenant("acme");
  EXPECT_EQ(tenant.host(), "h1");
  EXPECT_EQ(tenant.port(), port);
  EXPECT_EQ(tenant.epoch(), 3);
  EXPECT_TRUE(tenant.leased());
  EXPECT_EQ(Reserved("h1"), 1024);
  EXPECT_EQ(Reserved("h2"), 0);
  agents_.outcomes[Act::kRestore] = {};
  Run(absl::Minutes(3));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  EXPECT_GE(Tenant("acme").epoch(), 4);
}

TEST_F(FailoverTest, ASecondLossIsNotHeldBackByTheFirst) {
  Lease("acme");
  AddHost("h3");
  Guard("h3");
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Hours(1));
  ASSERT_EQ(Tenant("acme").host(), "h2");
  Lose("h2");
  Run(absl::Seconds(69));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  Run(absl::Seconds(20));
  EXPECT_EQ(Tenant("acme").host(), "h3");
}

TEST_F(FailoverTest, TheOldCopyIsTakenOffOnceItsHostIsBackAndItsDataIsKept) {
  Lease("acme");
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Minutes(3));
  ASSERT_EQ(Tenant("acme").host(), "h2");
  EXPECT_EQ(agents_.Count(Act::kRemove), 0);
  IsBack("h1");
  EXPECT_THAT(Named("h1"), IsEmpty());
  Run(absl::Minutes(1));
  ASSERT_EQ(agents_.Count(Act::kRemove), 1);
  EXPECT_EQ(agents_.Last(Act::kRemove).host, "h1");
  EXPECT_TRUE(agents_.Last(Act::kRemove).request.remove().keep_data());
  EXPECT_THAT(*tables_.evictions.List(), IsEmpty());
  EXPECT_EQ(OneOf("evict").result().at("kept_data"), "h1:data/acme");
  Run(absl::Minutes(5));
  EXPECT_EQ(agents_.Count(Act::kRemove), 1);
}

TEST_F(FailoverTest, OneThatStaysIsNotMovedAndSaysSo) {
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Hours(1));
  EXPECT_EQ(Tenant("acme").host(), "h1");
  EXPECT_THAT(Message(), HasSubstr("it stays"));
}

TEST_F(FailoverTest, HostsThatVanishTogetherAreFrozen) {
  Lease("acme");
  AddHost("h3");
  Run(absl::Minutes(2));
  Lose("h1");
  Lose("h2");
  Run(absl::Hours(1));
  EXPECT_EQ(Tenant("acme").host(), "h1");
  EXPECT_THAT(Message(), HasSubstr("vanished together"));
}

TEST_F(FailoverTest, ABackupThatWaitsForTheLostHostIsCalledOff) {
  Lease("acme");
  Run(absl::Minutes(2));
  agents_.outcomes[Act::kSnapshot] = FakeAgents::Running();
  const auto backup = Create("acme");
  ASSERT_TRUE(backup.ok());
  Run(absl::Seconds(5));
  Lose("h1");
  Run(absl::Minutes(5));
  EXPECT_EQ(engine_.Get(IdOf(*backup))->state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(Tenant("acme").host(), "h2");
}

TEST_F(FailoverTest, AnotherOperationIsWaitedForWithoutLookingAgain) {
  Lease("acme");
  state::v1::OperationRecord removal;
  removal.mutable_operation()->set_name("operations/01J");
  removal.mutable_operation()->set_kind("remove");
  removal.mutable_operation()->set_host("h1");
  state::v1::LockRecord lock;
  lock.set_operation("01J");
  kv::Txn txn;
  tables_.operations.Put(txn, "01J", removal);
  tables_.locks.Put(txn, "tenants/acme", lock);
  ASSERT_TRUE(store_->Commit(txn).ok());
  Lose("h1");
  Run(absl::Minutes(5));
  EXPECT_THAT(Message(), HasSubstr("the operation remove on it goes on"));
  const int before = looks_.asked;
  Run(absl::Hours(1));
  EXPECT_EQ(looks_.asked, before);
  EXPECT_FALSE(tables_.operations.Get("01J")->value.operation().cancel_requested());
}

TEST_F(FailoverTest, NothingIsLookedAtWhileNothingHappens) {
  Lease("acme");
  Run(absl::Minutes(2));
  const int before = looks_.asked;
  for (int i = 0; i < 100; ++i) {
    Guard("h1");  // what every event of a host's does
    Stamp("h1");
    Run(absl::Minutes(1));
  }
  EXPECT_EQ(looks_.asked, before);
  Lose("h1");
  EXPECT_EQ(looks_.asked, before + 1);
}

TEST_F(FailoverTest, WhatGoesOnHappeningDoesNotPutTheLookOff) {
  Run(absl::Minutes(2));
  Lose("h1");
  EXPECT_THAT(Message(), Not(HasSubstr("lease")));
  for (int i = 0; i < 3; ++i) {
    Run(absl::Seconds(3));
    Lease("acme");
  }
  EXPECT_THAT(Message(), HasSubstr("lease"));
}

TEST_F(FailoverTest, NothingIsLookedAtWhileAHostIsAwayAndNothingOfItCanBeMoved) {
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Minutes(5));
  EXPECT_THAT(Message(), HasSubstr("it stays"));
  const int before = looks_.asked;
  Run(absl::Hours(1));
  EXPECT_EQ(looks_.asked, before);
  Lease("acme");
  Run(absl::Minutes(1));
  EXPECT_EQ(Tenant("acme").host(), "h2");
}

TEST_F(FailoverTest, ABackupThatComesToLightIsRestoredWhileTheHostIsAway) {
  Lease("acme");
  auto row = tables_.backups.List()->front();
  kv::Txn without;
  without.Delete(tables_.backups.Key(row.id));
  ASSERT_TRUE(store_->Commit(without).ok());
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Hours(1));
  EXPECT_THAT(Message(), HasSubstr("it has no backup"));
  kv::Txn with;
  tables_.backups.Put(with, row.id, row.value);
  ASSERT_TRUE(store_->Commit(with).ok());
  Run(absl::Minutes(1));
  EXPECT_EQ(Tenant("acme").host(), "h2");
}

TEST_F(FailoverTest, WhatAnEarlierTenantOfThatNameLeftIsNotRestored) {
  Remove("acme");
  Provision("acme");
  ASSERT_THAT(*tables_.backups.List(), ::testing::Not(IsEmpty()));
  Lose("h1");
  const auto refused = failovers_.FailOver(kCaller, Word(true));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("has no backup"));
  IsBack("h1");
  const std::string own = BackUp("acme");
  Lose("h1");
  EXPECT_EQ(failovers_.FailOver(kCaller, Word(true, true))->result().at("backup"), own);
}

TEST_F(FailoverTest, AStateThatWasGivenUpIsNotBroughtBack) {
  const auto would_restore = [&] {
    Lose("h1");
    const auto preview = failovers_.FailOver(kCaller, Word(true, /*preview=*/true));
    EXPECT_TRUE(preview.ok()) << preview.status();
    IsBack("h1");
    return preview.ok() ? preview->result().at("backup") : "";
  };
  const std::string spoilt = BackUp("acme");
  EXPECT_EQ(would_restore(), spoilt);
  Succeeds(Ask(Request()));
  EXPECT_EQ(would_restore(), backup_);
  const std::string since = BackUp("acme");
  EXPECT_EQ(would_restore(), since);

  // One that was removed and comes back from a backup is of that backup's state.
  Remove("acme");
  Succeeds(Ask(Request("acme")));
  EXPECT_EQ(would_restore(), backup_);
}

TEST_F(FailoverTest, ATenantOfBeforeThatWasNotedHasAllBackupsOfItsName) {
  auto row = tables_.tenants.Get("acme");
  row->value.clear_first_backup();
  kv::Txn txn;
  tables_.tenants.Put(txn, "acme", row->value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  Lose("h1");
  EXPECT_EQ(failovers_.FailOver(kCaller, Word(true, true))->result().at("backup"), backup_);
  IsBack("h1");
  const std::string next = BackUp("acme");
  EXPECT_EQ(Tenant("acme").first_backup(), "");
  Lose("h1");
  EXPECT_EQ(failovers_.FailOver(kCaller, Word(true, true))->result().at("backup"), next);
}

TEST_F(FailoverTest, AWordForAConnectedHostIsRefused) {
  const auto refused = failovers_.FailOver(kCaller, Word(/*accept=*/true));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is connected"));
}

TEST_F(FailoverTest, AWordNamesTheRiskAndNeedsItToBeAccepted) {
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Minutes(5));
  const auto preview = failovers_.FailOver(kCaller, Word(false, /*preview=*/true));
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_THAT(preview->result().at("risk"), HasSubstr("two pollers"));
  EXPECT_EQ(preview->result().at("host"), "h2");
  EXPECT_EQ(preview->result().at("backup"), backup_);
  EXPECT_EQ(Tenant("acme").host(), "h1");
  const auto refused = failovers_.FailOver(kCaller, Word());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("two pollers"));
  Succeeds(failovers_.FailOver(kCaller, Word(/*accept=*/true)));
  EXPECT_EQ(Tenant("acme").host(), "h2");
}

TEST_F(FailoverTest, ATenantThatAsksForItsHostNeedsAnothersName) {
  auto row = tables_.tenants.Get("acme");
  row->value.mutable_spec()->set_host("h1");
  row->value.mutable_resolved()->set_host("h1");
  kv::Txn txn;
  tables_.tenants.Put(txn, "acme", row->value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  Run(absl::Minutes(2));
  Lose("h1");
  const auto refused = failovers_.FailOver(kCaller, Word(true));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("failover acme --host NAME"));
  v1::FailOverTenantRequest word = Word(/*accept=*/true);
  word.set_host("h2");
  agents_.outcomes[Act::kRestore] = FakeAgents::Failed(absl::InternalError("no such snapshot"));
  Fails(failovers_.FailOver(kCaller, word));
  EXPECT_EQ(Tenant("acme").spec().host(), "h1");
  agents_.outcomes[Act::kRestore] = {};
  Succeeds(failovers_.FailOver(kCaller, word));
  EXPECT_EQ(Tenant("acme").spec().host(), "h2");
}

TEST_F(FailoverTest, WhereTheLeaseIsOverThereIsNoRisk) {
  Lease("acme");
  AddHost("h3");
  Guard("h3");
  Run(absl::Minutes(2));
  Lose("h1");
  Lose("h2");  // frozen, so nothing is done by itself
  Run(absl::Minutes(2));
  const auto preview = failovers_.FailOver(kCaller, Word(false, /*preview=*/true));
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->result().count("risk"), 0);
  Succeeds(failovers_.FailOver(kCaller, Word()));
  EXPECT_EQ(Tenant("acme").host(), "h3");
}

TEST_F(FailoverTest, ARetryOfAWordGetsItsOperation) {
  Run(absl::Minutes(2));
  Lose("h1");
  v1::FailOverTenantRequest word = Word(/*accept=*/true);
  word.set_request_id("once");
  const auto first = failovers_.FailOver(kCaller, word);
  Succeeds(first);
  const auto again = failovers_.FailOver(kCaller, word);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
}

TEST_F(FailoverTest, AHostWithoutAGuardDoesNotTakeATenantThatMayFailOver) {
  Lease("acme");
  observations_.Update("h2", [](HostObservation& seen) { seen.status.set_guarded(false); });
  Run(absl::Minutes(2));
  Lose("h1");
  Run(absl::Minutes(3));
  EXPECT_EQ(Tenant("acme").host(), "h1");
  Guard("h2");
  Run(absl::Minutes(10));
  EXPECT_EQ(Tenant("acme").host(), "h2");
}

}  // namespace
}  // namespace mtp
