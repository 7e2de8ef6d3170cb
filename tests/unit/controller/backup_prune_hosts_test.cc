// Pruning: which host removes what.
#include <gmock/gmock.h>

#include "tests/unit/controller/prune_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PruneHosts : public BackupPrune {
 protected:
  PruneHosts() {
    AddHost("h2", 64);  // too small for tenants
    AddRemote("cloud");
  }
  void Disconnect(const std::string& host) {
    observations_.Update(host, [](HostObservation& seen) { seen.connected = false; });
  }
  void TakeOut(const std::string& host) {
    kv::Txn txn;
    txn.Delete(tables_.hosts.Key(host));
    ASSERT_TRUE(store_->Commit(txn).ok());
    observations_.Remove(host);
  }
};

TEST_F(PruneHosts, AnyConnectedHostWillDoForAServer) {
  BackUpInto("cloud");
  BackUpInto("cloud");
  Remove("acme");
  Disconnect("h1");
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(agents_.Last(Act::kForget).host, "h2");
}

TEST_F(PruneHosts, AFolderIsPrunedWhereItWasWrittenUnlessThatHostIsGone) {
  BackUpInto("main");
  BackUpInto("main");
  Remove("acme");
  Disconnect("h1");
  const absl::Status refused = Prune("acme").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("`mtp-cli host remove h1`"));
  TakeOut("h1");
  EXPECT_EQ(Pruned().state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(agents_.Last(Act::kForget).host, "h2");
}

TEST_F(PruneHosts, WhatNoHostCanTakeAwayNowHoldsNothingUp) {
  const std::string near = CalledOff("main"), far = CalledOff("cloud");
  const std::string older = BackUpInto("cloud"), newest = BackUpInto("cloud");
  Remove("acme");
  Disconnect("h1");
  EXPECT_THAT(Names(Prune("acme")), ElementsAre(older));
  Run();
  EXPECT_THAT(Catalogue(), ElementsAre(newest));
  EXPECT_THAT(Names(Prune("acme")), IsEmpty());
  TakeOut("h1");
  EXPECT_THAT(Names(Prune("acme")), ElementsAre("backups/" + far, "backups/" + near));
}

// Another host would find nothing while that one still writes it.
TEST_F(PruneHosts, WhatACalledOffOneMayHaveLeftIsTakenAwayByItsOwnHost) {
  CalledOff("cloud");
  BackUpInto("cloud");
  BackUpInto("cloud");
  Remove("acme");
  AddHost("h0");
  Provision("acme");
  ASSERT_EQ(Tenant("acme").host(), "h0");
  const auto response = Prune("acme");
  EXPECT_THAT(Names(response), SizeIs(2));
  EXPECT_EQ(Ended(response->operation()).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(agents_.Last(Act::kForget).host, "h1");
  EXPECT_THAT(agents_.Last(Act::kForget).request.forget().backup_ids(), SizeIs(2));
}

TEST_F(PruneHosts, WithoutAnyHostNothingIsBegun) {
  BackUpInto("cloud");
  BackUpInto("cloud");
  Disconnect("h1");
  Disconnect("h2");
  EXPECT_TRUE(absl::IsFailedPrecondition(Prune("acme").status()));
  EXPECT_EQ(agents_.Count(Act::kForget), 0);
}

}  // namespace
}  // namespace mtp
