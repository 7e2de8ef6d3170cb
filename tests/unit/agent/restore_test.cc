// Restores and verifications: what is put in place was compared before, and what it replaces stays.
#include <absl/strings/match.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

class RestoreTest : public BackupFixture {
 protected:
  RestoreTest() {
    Provision("acme");
    Write("acme/workspace/notes", "of the backup");
    backup_ = Snapshot("acme", "b1");
    Write("acme/workspace/notes", "newer");
    Write("acme/workspace/other", "newer still");
  }
  void ExpectUntouched() {
    EXPECT_TRUE(IsRunning("mtp-acme"));
    EXPECT_EQ(Starts("mtp-acme"), 1);
    EXPECT_EQ(Read("acme/workspace/notes"), "newer");
    EXPECT_THAT(Names(".restores"), IsEmpty());
    EXPECT_THAT(Names(".quarantine"), IsEmpty());
  }
  v1::BackupReference backup_;
};

TEST_F(RestoreTest, PutsTheDataBackAndKeepsWhatItReplaces) {
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(Read("acme/workspace/notes"), "of the backup");
  EXPECT_THAT(Read("acme/workspace/other"), HasSubstr("No such file"));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  ASSERT_THAT(Names(".quarantine"), SizeIs(1));
  const std::string kept = action.result().at("previous_data");
  EXPECT_THAT(kept, StartsWith(".quarantine/acme-"));
  EXPECT_EQ(Read(kept + "/workspace/other"), "newer still");
  EXPECT_THAT(action.message(), HasSubstr(kept));
  EXPECT_THAT(Names(".restores"), IsEmpty());
  EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
}

TEST_F(RestoreTest, ANearlyFullDiskIsLeftToTheTenants) {
  machine_.space.free_bytes = int64_t{1000} << 20;
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(action.error().message(), HasSubstr("left to what the tenants write"));
  ExpectUntouched();
}

TEST_F(RestoreTest, TheTenantStartsFromWhatWasRestored) {
  agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  auto apply = ApplyRequest("o/start", "acme", 1);
  apply.mutable_apply()->set_kept_data(v1::KEPT_DATA_USE);
  EXPECT_EQ(agent_->Finish(apply).state(), v1::ACTION_STATE_DONE);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(Read("acme/workspace/notes"), "of the backup");
}

TEST_F(RestoreTest, ATenantThatIsNotHereGetsItsDataAsKeptData) {
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_, 2));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_THAT(Names(".quarantine"), IsEmpty());
  auto apply = ApplyRequest("o/start", "acme", 2);
  apply.mutable_apply()->set_kept_data(v1::KEPT_DATA_USE);
  EXPECT_EQ(agent_->Finish(apply).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Read("acme/workspace/notes"), "of the backup");
}

TEST_F(RestoreTest, AnotherTenantMayBeMadeOfABackup) {
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "copy", backup_));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(Read("copy/workspace/notes"), "of the backup");
  ExpectUntouched();
}

TEST_F(RestoreTest, ADamagedBackupIsNotPutInPlace) {
  machine_.repositories.on_restore = [](const std::string& folder) {
    std::ofstream(folder + "/data/workspace/notes") << "of the backuq";
  };
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("workspace/notes"));
  ExpectUntouched();
}

TEST_F(RestoreTest, AnotherManifestIsNotTrusted) {
  machine_.repositories.on_restore = [](const std::string& folder) {
    std::ofstream(folder + "/manifest.jsonl", std::ios::app) << " ";
  };
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("manifest"));
  ExpectUntouched();
}

TEST_F(RestoreTest, AMissingBackupChangesNothing) {
  backup_.set_backup_id("b9");
  EXPECT_EQ(agent_->Finish(RestoreRequest("o/restore", "acme", backup_)).state(),
            v1::ACTION_STATE_FAILED);
  ExpectUntouched();
}

TEST_F(RestoreTest, AVerificationTouchesNothing) {
  machine_.databases->checked = 2;
  const v1::Action action = agent_->Finish(VerifyRequest("o/verify", "acme", backup_));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("databases"), "2");
  EXPECT_EQ(action.result().at("snapshot"), "fleet+acme+b1");
  ExpectUntouched();
}

TEST_F(RestoreTest, AVerificationFindsDamage) {
  machine_.repositories.on_restore = [](const std::string& folder) {
    std::filesystem::remove(folder + "/data/workspace/notes");
  };
  const v1::Action action = agent_->Finish(VerifyRequest("o/verify", "acme", backup_));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_THAT(action.error().message(), HasSubstr("workspace"));
  ExpectUntouched();
}

TEST_F(RestoreTest, QuarantineEndsAfterADay) {
  agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  std::filesystem::create_directory(DataPath(".quarantine/by-hand"));
  machine_.clock.Advance(absl::Hours(23));
  agent_->reconciler->LookOnce();
  EXPECT_THAT(Names(".quarantine"), SizeIs(2));
  machine_.clock.Advance(absl::Hours(2));
  agent_->reconciler->LookOnce();
  EXPECT_THAT(Names(".quarantine"), ::testing::ElementsAre("by-hand"));
}

class RestoreCrash : public BackupFixture, public ::testing::WithParamInterface<bool> {};

TEST_P(RestoreCrash, AtEachCommitLosesNothingAndRestoresOnce) {
  Provision("acme");
  Write("acme/workspace/notes", "of the backup");
  const v1::BackupReference backup = Snapshot("acme", "b1");
  for (int at = 0;; ++at) {
    const std::string newer = absl::StrCat("newer ", at);
    Write("acme/workspace/notes", newer);
    const std::set<std::string> before = Names(".quarantine");
    const auto request = RestoreRequest(absl::StrCat("o", at, "/restore"), "acme", backup);
    const bool crashed = CrashAt(at, GetParam(), request);
    ASSERT_TRUE(begun_.ok()) << begun_;
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_EQ(Read("acme/workspace/notes"), "of the backup");
    std::set<std::string> kept;
    for (const std::string& name : Names(".quarantine")) {
      if (before.count(name) == 0) kept.insert(Read(".quarantine/" + name + "/workspace/notes"));
    }
    EXPECT_THAT(kept, ::testing::ElementsAre(newer)) << "commit " << at;
    EXPECT_THAT(Names(".restores"), IsEmpty());
    // Names in quarantine differ by the millisecond.
    machine_.clock.Advance(absl::Seconds(1));
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, RestoreCrash, ::testing::Bool());

}  // namespace
}  // namespace mtp
