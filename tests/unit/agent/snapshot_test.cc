// Snapshots: one moment of a running tenant, whatever happens to the agent meanwhile.
#include <absl/strings/match.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "common/base/atomic_file.h"
#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SnapshotTest : public BackupFixture {
 protected:
  SnapshotTest() { Provision("acme"); }
  // Of the one snapshot that was made.
  std::string Stored(const std::string& path) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(machine_.repositories.folder)) {
      if (absl::EndsWith(entry.path().string(), "/" + path)) {
        auto text = ReadFile(entry.path().string(), 1 << 20);
        return text.ok() ? *text : std::string(text.status().message());
      }
    }
    return "absent";
  }
};

TEST_F(SnapshotTest, HoldsTheMomentOfThePause) {
  Write("acme/workspace/notes", "before");
  machine_.engine.on_pause = [this] { Write("acme/workspace/notes", "at the pause"); };
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(Stored("data/workspace/notes"), "at the pause");
  EXPECT_EQ(Pauses("mtp-acme"), 1);
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  EXPECT_EQ(action.result().at("snapshot"), "fleet+acme+b1");
  EXPECT_EQ(action.result().at("image_digest"), "sha256:1");
  EXPECT_EQ(action.result().at("manifest_sha256").size(), 64u);
  EXPECT_TRUE(agent_->journal.Tenant(*TenantName::Parse("acme"))->has_last_backup_time());
}

TEST_F(SnapshotTest, LeavesOutWhatIsMadeAgainByItself) {
  std::filesystem::create_directories(DataPath("acme/.openclaw/cache"));
  Write("acme/.openclaw/cache/x", "scratch");
  Snapshot("acme", "b1");
  EXPECT_EQ(Stored("data/.openclaw/cache/x"), "absent");
  EXPECT_THAT(Stored("manifest.jsonl"), HasSubstr(".openclaw/cache"));
}

TEST_F(SnapshotTest, TellsNoSecret) {
  const v1::EnsureActionRequest request = SnapshotRequest("o/snapshot", "acme", "b1");
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  EXPECT_FALSE(StoreHolds(kRepositoryPassword));
  agent_->Finish(request);
  EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
  EXPECT_THAT(machine_.repositories.passwords, ElementsAre(kRepositoryPassword));
  EXPECT_THAT(Stored("tenant.json"), HasSubstr("\"openclaw:1\""));
  EXPECT_FALSE(absl::StrContains(Stored("tenant.json"), "planted"));
}

TEST_F(SnapshotTest, PausesAgainWhatDidNotStandStill) {
  machine_.engine.failing_pauses = 2;
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.error().message();
  EXPECT_EQ(Pauses("mtp-acme"), 1);
  EXPECT_FALSE(IsPaused("mtp-acme"));
}

TEST_F(SnapshotTest, SaysSoWhenItNeverStandsStill) {
  machine_.engine.failing_pauses = 100;
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("unable to freeze"));
  EXPECT_EQ(machine_.engine.failing_pauses, 90);
}

TEST_F(SnapshotTest, DoesNotPauseAStoppedTenant) {
  Stop("acme");
  Write("acme/workspace/notes", "at rest");
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(Pauses("mtp-acme"), 0);
  EXPECT_EQ(action.result().at("pause_us"), "0");
  EXPECT_EQ(action.result().at("image_digest"), "");
  EXPECT_EQ(Stored("data/workspace/notes"), "at rest");
}

TEST_F(SnapshotTest, NamesDamagedDatabasesAndKeepsThem) {
  machine_.databases->checked = 3;
  machine_.databases->damaged = {{"workspace/a\"b.db", "row missing"}};
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(action.result().at("databases"), "3");
  EXPECT_EQ(action.result().at("damaged_databases"), R"(["workspace/a\"b.db"])");
  EXPECT_THAT(machine_.checked_folders, ElementsAre(DataPath(".snapshots/acme/data")));
}

TEST_F(SnapshotTest, AFullRepositoryFailsItAndLeavesTheTenantAtWork) {
  machine_.repositories.backup_error = absl::ResourceExhaustedError("the disk is full");
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("the disk is full"));
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  EXPECT_FALSE(agent_->journal.Tenant(*TenantName::Parse("acme"))->has_last_backup_time());
}

TEST_F(SnapshotTest, ANearlyFullDiskIsLeftToTheTenants) {
  Write("acme/workspace/notes", "before");
  machine_.space.free_bytes = int64_t{1000} << 20;
  v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(action.error().message(),
              HasSubstr("has 1000 MiB free, and 1024 MiB are left to what the tenants write"));
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  EXPECT_EQ(Pauses("mtp-acme"), 0);

  machine_.space.free_bytes = int64_t{2000} << 20;
  machine_.engine.on_pause = [this] {
    Write("acme/workspace/notes", "at the pause");
    machine_.space.free_bytes = 0;
  };
  action = agent_->Finish(SnapshotRequest("p/snapshot", "acme", "b2"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("has 0 MiB free"));
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_EQ(Starts("mtp-acme"), 1);
}

TEST_F(SnapshotTest, ARepositoryOnThatDiskDoesNotUseItUpEither) {
  const auto run_short_of_room = [this](const std::string& key, const std::string& url) {
    machine_.space.free_bytes = int64_t{50} << 30;
    machine_.databases->checked = 0;
    machine_.on_check_databases = [this] { machine_.space.free_bytes = 0; };
    auto request = SnapshotRequest(key + "/snapshot", "acme", key);
    v1::RepositoryAccess& repository = *request.mutable_snapshot()->mutable_repository();
    repository.set_url(url);
    repository.set_s3_access_key("key");
    repository.set_s3_secret_key("secret");
    return agent_->Finish(request);
  };
  const v1::Action here = run_short_of_room("b1", machine_.folder / "backups/main");
  EXPECT_EQ(here.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(here.error().message(), HasSubstr("left to what the tenants write"));
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  // One on a server takes nothing from them.
  const v1::Action elsewhere = run_short_of_room("b2", "s3:https://server/bucket");
  EXPECT_EQ(elsewhere.state(), v1::ACTION_STATE_DONE) << elsewhere.error().message();
}

TEST_F(SnapshotTest, ARepositoryThatIsAwayIsTriedAgainWithTheSameCopy) {
  machine_.repositories.open_error = absl::UnavailableError("the server does not answer");
  const auto request = SnapshotRequest("o/snapshot", "acme", "b1");
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(20));
  EXPECT_TRUE(agent_->actions->IsBusy("acme"));
  EXPECT_FALSE(IsPaused("mtp-acme"));
  machine_.repositories.open_error = absl::OkStatus();
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Pauses("mtp-acme"), 1);
}

TEST_F(SnapshotTest, ARepositoryThatStaysAwayFailsIt) {
  machine_.repositories.open_error = absl::UnavailableError("the server does not answer");
  const v1::Action action = agent_->Finish(SnapshotRequest("o/snapshot", "acme", "b1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().message(), "the server does not answer, for 2m");
  EXPECT_THAT(Names(".snapshots"), IsEmpty());
  EXPECT_EQ(Starts("mtp-acme"), 1);
}

TEST_F(SnapshotTest, AnEngineThatDoesNotThawIsAskedUntilItDoes) {
  machine_.engine.unpause_error = absl::UnavailableError("the engine does not answer");
  const auto request = SnapshotRequest("o/snapshot", "acme", "b1");
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_TRUE(IsPaused("mtp-acme"));
  EXPECT_EQ(machine_.repositories.backups, 0);
  machine_.engine.unpause_error = absl::OkStatus();
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
}

TEST_F(SnapshotTest, AnAgentKilledInThePauseThawsTheTenantInItsNextLife) {
  const auto request = SnapshotRequest("o/snapshot", "acme", "b1");
  machine_.engine.unpause_error = absl::UnavailableError("dead before it could");
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(IsPaused("mtp-acme"));
  machine_.engine.unpause_error = absl::OkStatus();
  NewAgent();
  ASSERT_TRUE(begun_.ok()) << begun_;
  machine_.executor.RunFor(absl::Milliseconds(1));
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
}

TEST_F(SnapshotTest, APauseThatNobodyEndsIsEndedByTheNextLook) {
  ASSERT_TRUE(machine_.engine.Pause("mtp-acme").ok());
  agent_->reconciler->LookOnce();
  EXPECT_FALSE(IsPaused("mtp-acme"));
  EXPECT_EQ(Starts("mtp-acme"), 1);
}

TEST_F(SnapshotTest, RefusesRequestsThatCannotBeCarriedOut) {
  auto request = SnapshotRequest("o/1", "acme", "b/../1");
  EXPECT_EQ(agent_->actions->Ensure(request).status().code(), absl::StatusCode::kInvalidArgument);
  request = SnapshotRequest("o/1", "acme", "b1");
  request.mutable_snapshot()->mutable_repository()->set_url("ftp://example.org/x");
  EXPECT_EQ(agent_->actions->Ensure(request).status().code(), absl::StatusCode::kInvalidArgument);
  request = SnapshotRequest("o/1", "acme", "b1");
  request.mutable_snapshot()->mutable_repository()->clear_password();
  EXPECT_EQ(agent_->actions->Ensure(request).status().code(), absl::StatusCode::kInvalidArgument);
  auto verify = VerifyRequest("o/2", "acme", v1::BackupReference());
  EXPECT_EQ(agent_->actions->Ensure(verify).status().code(), absl::StatusCode::kInvalidArgument);
}

class SnapshotCrash : public BackupFixture, public ::testing::WithParamInterface<bool> {};

TEST_P(SnapshotCrash, AtEachCommitGoesOnToOneWholeSnapshot) {
  Provision("acme");
  Write("acme/workspace/notes", "text");
  for (int at = 0;; ++at) {
    const std::string backup = absl::StrCat("b", at);
    const auto request = SnapshotRequest(absl::StrCat("o", at, "/snapshot"), "acme", backup);
    const bool crashed = CrashAt(at, GetParam(), request);
    ASSERT_TRUE(begun_.ok()) << begun_;
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_FALSE(IsPaused("mtp-acme"));
    EXPECT_THAT(Names(".snapshots"), IsEmpty());
    EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
    if (!crashed) {
      EXPECT_GE(at, 2);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, SnapshotCrash, ::testing::Bool());

}  // namespace
}  // namespace mtp
