// Drills: what counts as proven, and the room that a sandbox takes meanwhile.
#include <gmock/gmock.h>

#include "common/base/timestamps.h"
#include "controller/backups/drill_room.h"
#include "controller/state/fleet.h"
#include "tests/unit/controller/backups_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BackupDrill : public BackupsFixture {
 protected:
  BackupDrill() {
    Provision("acme");
    AddRepository();
    agents_.outcomes[Act::kDrill].result = {{"ready_ms", "24000"}, {"image_id", "sha256:1"}};
    backup_ = BackUp("acme");
  }
  absl::StatusOr<v1::Operation> Drill(const std::string& backup,
                                      const std::string& request_id = "") {
    v1::DrillBackupRequest request;
    request.set_name(backup);
    request.set_request_id(request_id);
    return backups_.Drill(kCaller, request);
  }
  absl::StatusOr<v1::Operation> RunningDrill() {
    agents_.outcomes[Act::kDrill] = mtp::testing::FakeAgents::Running();
    auto created = Drill(backup_);
    Run();
    return created;
  }
  v1::FleetStatus Status() {
    return ToFleetStatus(tables_, observations_.Get(), clock_.Now(), "").value();
  }
  std::string backup_;
};

TEST_F(BackupDrill, OneThatStartedIsProvenAndWhole) {
  const absl::Time before = clock_.Now();
  const auto created = Drill(backup_);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->kind(), "drill");
  EXPECT_EQ(created->target(), backup_);
  EXPECT_EQ(created->host(), "h1");
  const v1::Operation operation = Ended(created);
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.result().at("ready_ms"), "24000");
  const auto backup = backups_.Get(backup_);
  EXPECT_GE(FromTimestamp(backup->prove_time()), before);
  EXPECT_EQ(FromTimestamp(backup->verify_time()), FromTimestamp(backup->prove_time()));
  EXPECT_EQ(FromTimestamp(Tenant("acme").last_proven_backup_time()),
            FromTimestamp(backup->start_time()));
  EXPECT_EQ(FromTimestamp(Status().tenants(0).status().last_proven_backup_time()),
            FromTimestamp(backup->start_time()));
}

TEST_F(BackupDrill, TheAgentIsToldToTryTheBackupsOwnImage) {
  Succeeds(Drill(backup_));
  const auto asked = agents_.Last(Act::kDrill);
  EXPECT_EQ(asked.host, "h1");
  EXPECT_EQ(asked.request.tenant(), "acme");
  EXPECT_EQ(asked.request.epoch(), Tenant("acme").epoch());
  const auto& drill = asked.request.drill();
  EXPECT_EQ("backups/" + drill.backup().backup_id(), backup_);
  EXPECT_EQ(drill.backup().manifest_sha256(), "abcd");
  EXPECT_EQ(drill.repository().url(), "/srv/main/acme");
  EXPECT_EQ(drill.spec().image(), "sha256:1");
  EXPECT_EQ(drill.spec().memory_limit_mib(), Tenant("acme").resolved().memory_limit_mib());
}

TEST_F(BackupDrill, ABackupOfAStoppedTenantIsTriedWithTheTenantsImage) {
  agents_.outcomes[Act::kSnapshot].result["image_digest"] = "";
  const std::string name = BackUp("acme");
  Succeeds(Drill(name));
  EXPECT_EQ(agents_.Last(Act::kDrill).request.drill().spec().image(),
            Tenant("acme").resolved().image());
}

TEST_F(BackupDrill, OneThatFailedProvesNothing) {
  agents_.outcomes[Act::kDrill] = mtp::testing::FakeAgents::Failed(
      absl::FailedPreconditionError("the container ended. Its last words: boom"));
  const v1::Operation operation = Ended(Drill(backup_));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("Its last words: boom"));
  EXPECT_FALSE(backups_.Get(backup_)->has_prove_time());
  EXPECT_FALSE(Tenant("acme").has_last_proven_backup_time());
  EXPECT_EQ(Reserved("h1"), 1024);
}

TEST_F(BackupDrill, TheNewestProvenOneCounts) {
  agents_.outcomes[Act::kSnapshot].result["start_time"] = "2026-01-03T00:00:00Z";
  const std::string newer = BackUp("acme");
  Succeeds(Drill(newer));
  Succeeds(Drill(backup_));
  EXPECT_TRUE(backups_.Get(backup_)->has_prove_time());
  EXPECT_EQ(FromTimestamp(Tenant("acme").last_proven_backup_time()),
            FromTimestamp(backups_.Get(newer)->start_time()));
}

TEST_F(BackupDrill, TakesRoomWhileItLastsAndIsNoTenant) {
  const auto created = RunningDrill();
  EXPECT_EQ(Reserved("h1"), 2048);
  const v1::FleetStatus status = Status();
  EXPECT_EQ(status.hosts(0).status().reserved_mib(), 2048);
  EXPECT_EQ(status.hosts(0).status().tenants(), 1);
  EXPECT_EQ(status.tenants_size(), 1);
  const auto views = HostViews(tables_, observations_.Get());
  EXPECT_EQ(views->front().reserved_mib(), 2048);
  EXPECT_EQ(views->front().placed().size(), 1u);
  agents_.End(Act::kDrill, {});
  Succeeds(created);
  EXPECT_EQ(Reserved("h1"), 1024);
}

TEST_F(BackupDrill, NobodyIsPlacedIntoItsRoom) {
  AddHost("h1", 3000);
  const auto created = RunningDrill();
  v1::ProvisionTenantRequest request;
  request.set_tenant_id("beta");
  request.mutable_secrets()->set_telegram_token("222:other");
  const absl::Status refused = tenants_.Provision(kCaller, request).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  agents_.End(Act::kDrill, {});
  Succeeds(created);
  EXPECT_TRUE(tenants_.Provision(kCaller, request).ok());
}

TEST_F(BackupDrill, ACancelledOneGivesItsRoomBack) {
  const auto created = RunningDrill();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.CancelAction("h1", IdOf(*created) + "/drill")->state(),
            v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(Reserved("h1"), 1024);
}

TEST_F(BackupDrill, WithoutRoomItIsRefusedInASentence) {
  AddHost("h1", 1500);
  const absl::Status promised = Drill(backup_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(promised)) << promised;
  EXPECT_THAT(std::string(promised.message()), AllOf(HasSubstr("h1"), HasSubstr("sandbox")));
  EXPECT_EQ(Reserved("h1"), 1024);
}

TEST_F(BackupDrill, WithoutRoomAsMeasuredItIsRefusedToo) {
  observations_.Update("h1", [](HostObservation& seen) { seen.status.set_used_mib(8000); });
  const absl::Status measured = Drill(backup_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(measured)) << measured;
  EXPECT_THAT(std::string(measured.message()), HasSubstr("as measured"));
}

TEST_F(BackupDrill, ACordonDoesNotForbidIt) {
  auto row = tables_.hosts.Get("h1");
  ASSERT_TRUE(row.ok());
  row->value.set_cordoned(true);
  kv::Txn txn;
  tables_.hosts.Put(txn, "h1", row->value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  Succeeds(Drill(backup_));
}

TEST_F(BackupDrill, OneAtATimeForABackup) {
  const auto created = RunningDrill();
  EXPECT_TRUE(absl::IsFailedPrecondition(Drill(backup_).status()));
  EXPECT_EQ(Reserved("h1"), 2048);
}

TEST_F(BackupDrill, ARepeatedRequestIsTheSameOperation) {
  const auto first = Drill(backup_, "r1");
  Succeeds(first);
  AddHost("h1", 1);
  const auto again = Drill(backup_, "r1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
}

TEST_F(BackupDrill, APreviewChangesNothing) {
  const std::string before = AllBytes();
  v1::DrillBackupRequest request;
  request.set_name(backup_);
  request.set_validate_only(true);
  const auto preview = backups_.Drill(kCaller, request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->name(), "");
  EXPECT_THAT(preview->message(), HasSubstr("1024 MiB on host h1"));
  Run();
  EXPECT_EQ(AllBytes(), before);
}

TEST_F(BackupDrill, ARemovedTenantsBackupIsTriedWhereItWasWritten) {
  Remove("acme");
  AddHost("h2");
  Succeeds(Drill(backup_));
  EXPECT_EQ(agents_.Last(Act::kDrill).host, "h1");
  EXPECT_TRUE(backups_.Get(backup_)->has_prove_time());
  EXPECT_FALSE(Exists("acme"));
  EXPECT_EQ(Reserved("h1"), 0);
}

TEST_F(BackupDrill, RoomIsTakenOnceAndGivenBackOnce) {
  const auto commit = [&](auto change) {
    kv::Txn txn;
    change(txn);
    ASSERT_TRUE(store_->Commit(txn).ok());
  };
  for (int times = 0; times < 2; ++times) {
    commit([&](kv::Txn& txn) { ASSERT_TRUE(TakeDrillRoom(tables_, "h1", "a", 500, txn).ok()); });
    EXPECT_EQ(Reserved("h1"), 1524);
  }
  for (int times = 0; times < 2; ++times) {
    commit([&](kv::Txn& txn) { ReleaseDrillRoom(tables_, "h1", "a", txn); });
    EXPECT_EQ(Reserved("h1"), 1024);
  }
  kv::Txn txn;
  EXPECT_TRUE(absl::IsNotFound(TakeDrillRoom(tables_, "h9", "a", 500, txn)));
}

TEST_F(BackupDrill, TwoThatTakeTheLastRoomConflict) {
  kv::Txn first;
  kv::Txn second;
  ASSERT_TRUE(TakeDrillRoom(tables_, "h1", "a", 5000, first).ok());
  ASSERT_TRUE(TakeDrillRoom(tables_, "h1", "b", 5000, second).ok());
  ASSERT_TRUE(store_->Commit(first).ok());
  EXPECT_TRUE(absl::IsAborted(store_->Commit(second).status()));
}

}  // namespace
}  // namespace mtp
