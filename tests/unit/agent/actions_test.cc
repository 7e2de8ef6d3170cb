#include "agent/tenants/actions.h"

#include <absl/strings/ascii.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "common/base/atomic_file.h"
#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ActionsTest : public ActionsFixture {};

TEST_F(ActionsTest, ApplyMakesATenantThatIsReady) {
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("container"), "mtp-acme");
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(agent_->ReadProjectFile("tenants.conf"), "acme 18801\n");
  EXPECT_THAT(agent_->ReadProjectFile("data/acme/.openclaw/openclaw.json"),
              HasSubstr("${TELEGRAM_BOT_TOKEN}"));
}

TEST_F(ActionsTest, TheSameKeyReattachesAndStartsNothingTwice) {
  agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  const v1::Action again = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(again.state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(machine_.compose.ups, 1);
}

TEST_F(ActionsTest, TheSameKeyForAnotherRequestIsRefused) {
  agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  auto other = ApplyRequest("o1/start", "acme", 1);
  other.mutable_apply()->mutable_secrets()->set_openai_key("other");
  EXPECT_EQ(agent_->actions->Ensure(other).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ActionsTest, ACommandOfAnOlderPlacementIsRefusedAlsoAfterARemoval) {
  agent_->Finish(ApplyRequest("o1/start", "acme", 7));
  auto remove = ActionRequest("o2/remove", "acme", 7);
  remove.mutable_remove();
  agent_->Finish(remove);
  NewAgent();
  EXPECT_EQ(agent_->actions->Ensure(ApplyRequest("o3/start", "acme", 6)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(HasContainer("mtp-acme"));
}

TEST_F(ActionsTest, OnlyOneActionATenantGoesOn) {
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  auto stop = ActionRequest("o2/stop", "acme", 1);
  stop.mutable_stop();
  EXPECT_EQ(agent_->actions->Ensure(stop).status().code(), absl::StatusCode::kAborted);
}

TEST_F(ActionsTest, RefusesRequestsThatNoActionCouldCarryOut) {
  auto bad_name = ApplyRequest("o1/start", "Acme", 1);
  auto admin = ApplyRequest("o1/start", "admin", 1);
  auto bad_port = ApplyRequest("o1/start", "acme", 1, 80);
  auto bad_key = ApplyRequest("../../etc", "acme", 1);
  auto nothing = ActionRequest("o1/x", "acme", 1);
  auto bad_image = ApplyRequest("o1/start", "acme", 1);
  bad_image.mutable_apply()->mutable_spec()->set_image("a b");
  auto bad_backup = ActionRequest("o1/b", "acme", 1);
  bad_backup.mutable_backup()->set_backup_id("../x");
  for (const auto& request : {bad_name, admin, bad_port, bad_key, nothing, bad_image, bad_backup}) {
    EXPECT_EQ(agent_->actions->Ensure(request).status().code(), absl::StatusCode::kInvalidArgument)
        << request.ShortDebugString();
  }
  EXPECT_THAT(machine_.disk->List("/actions/"), IsEmpty());
}

TEST_F(ActionsTest, KeptDataIsNeverTakenForAnotherClientUnasked) {
  Provision("acme");
  ASSERT_TRUE(
      WriteFileAtomically(agent_->project.path() + "/data/acme/workspace/x", "old", 0600).ok());
  auto remove = ActionRequest("o2/remove", "acme", 1);
  remove.mutable_remove()->set_keep_data(true);
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);

  const v1::Action refused = agent_->Finish(ApplyRequest("o3/start", "acme", 2));
  EXPECT_EQ(refused.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(refused.error().code(), static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(agent_->journal.Tenant(*TenantName::Parse("acme")).ok());

  auto undo = ActionRequest("o3/undo", "acme", 2);
  undo.mutable_remove();
  EXPECT_EQ(agent_->Finish(undo).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(agent_->ReadProjectFile("data/acme/workspace/x"), "old")
      << "undoing a refused provision must not delete what was kept";

  auto use = ApplyRequest("o4/start", "acme", 3);
  use.mutable_apply()->set_kept_data(v1::KEPT_DATA_USE);
  EXPECT_EQ(agent_->Finish(use).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(agent_->ReadProjectFile("data/acme/workspace/x"), "old");
}

TEST_F(ActionsTest, KeptDataThatIsSetAsideIsRenamedAndNotDeleted) {
  ASSERT_TRUE(MakeFolders(agent_->project.path() + "/data/acme/workspace", 0700).ok());
  ASSERT_TRUE(
      WriteFileAtomically(agent_->project.path() + "/data/acme/workspace/x", "old", 0600).ok());
  auto request = ApplyRequest("o1/start", "acme", 1);
  request.mutable_apply()->set_kept_data(v1::KEPT_DATA_SET_ASIDE);
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_FALSE(std::filesystem::exists(agent_->project.path() + "/data/acme/workspace/x"));
  int found = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(agent_->project.path() + "/data/.set-aside")) {
    found += std::filesystem::exists(entry.path() / "workspace/x") ? 1 : 0;
  }
  EXPECT_EQ(found, 1);
}

TEST_F(ActionsTest, StopLeavesTheTenantStoppedAndKnown) {
  Provision("acme");
  Stop("acme");
  EXPECT_TRUE(HasContainer("mtp-acme"));
  EXPECT_FALSE(IsRunning("mtp-acme"));
  EXPECT_EQ(agent_->journal.Tenant(*TenantName::Parse("acme"))->run_policy(), v1::RUN_POLICY_STOP);
}

TEST_F(ActionsTest, AStopThatTheEngineDoesNotConfirmFails) {
  Provision("acme");
  machine_.compose.stop_does_nothing = true;
  auto stop = ActionRequest("o2/stop", "acme", 1);
  stop.mutable_stop();
  EXPECT_EQ(agent_->Finish(stop).state(), v1::ACTION_STATE_FAILED);
}

TEST_F(ActionsTest, StopOfATenantThatIsElsewhereIsNotFound) {
  auto stop = ActionRequest("o2/stop", "ghost", 1);
  stop.mutable_stop();
  EXPECT_EQ(agent_->Finish(stop).error().code(), static_cast<int>(absl::StatusCode::kNotFound));
}

TEST_F(ActionsTest, AStopSaysThatNothingIsLeftOfTheTenant) {
  Provision("acme");
  const auto is_absent = [this](const std::string& key) {
    auto stop = ActionRequest(key, "acme", 1);
    stop.mutable_stop();
    const v1::Action action = agent_->Finish(stop);
    EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
    return action.result().count("absent") > 0;
  };
  EXPECT_FALSE(is_absent("o2/stop"));
  std::filesystem::remove_all(agent_->project.path() + "/data/acme");
  EXPECT_FALSE(is_absent("o3/stop")) << "its container is there";
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers.erase("mtp-acme");
  }
  EXPECT_TRUE(is_absent("o4/stop"));
  auto remove = ActionRequest("o4/remove", "acme", 1);
  remove.mutable_remove()->set_keep_data(true);
  EXPECT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ActionsTest, ARestartThatIsResumedRestartsNoSecondTime) {
  Provision("acme");
  machine_.openclaw.ready = false;
  auto restart = ActionRequest("o2/restart", "acme", 1);
  restart.mutable_restart();
  ASSERT_TRUE(agent_->actions->Ensure(restart).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_EQ(Starts("mtp-acme"), 2);
  NewAgent();
  machine_.openclaw.ready = true;
  EXPECT_EQ(agent_->Finish(restart).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Starts("mtp-acme"), 2);
}

TEST_F(ActionsTest, OnlyAStoppedTenantIsBackedUp) {
  Provision("acme");
  auto backup = ActionRequest("o2/backup", "acme", 1);
  backup.mutable_backup()->set_backup_id("b1");
  EXPECT_EQ(agent_->Finish(backup).error().code(),
            static_cast<int>(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ActionsTest, ABackupSaysWhereItIsAndWhatItsChecksumIs) {
  Provision("acme");
  Stop("acme");
  auto backup = ActionRequest("o2/backup", "acme", 1);
  backup.mutable_backup()->set_backup_id("b1");
  const v1::Action action = agent_->Finish(backup);
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  const std::string file = action.result().at("backup_file");
  EXPECT_THAT(file, ::testing::MatchesRegex("backups/acme-[0-9]{8}T[0-9]{6}Z-b1.tar.gz"));
  EXPECT_TRUE(std::filesystem::exists(agent_->project.path() + "/" + file));
  EXPECT_EQ(action.result().at("backup_sha256").size(), 64u);
  EXPECT_TRUE(agent_->journal.Tenant(*TenantName::Parse("acme"))->has_last_backup_time());
}

TEST_F(ActionsTest, RemoveLeavesNoTraceOfTheTenantAndOthersAlone) {
  Provision("acme", 18801);
  Provision("beta", 18802);
  const int beta_starts = Starts("mtp-beta");
  auto remove = ActionRequest("o2/remove", "acme", 1);
  remove.mutable_remove();
  EXPECT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  EXPECT_FALSE(HasContainer("mtp-acme"));
  EXPECT_FALSE(std::filesystem::exists(agent_->project.path() + "/data/acme"));
  for (const char* file : {".env", "tenants.conf", "docker-compose.override.yml"}) {
    EXPECT_THAT(absl::AsciiStrToLower(agent_->ReadProjectFile(file)), Not(HasSubstr("acme")))
        << file;
  }
  EXPECT_EQ(Starts("mtp-beta"), beta_starts);
}

TEST_F(ActionsTest, RemovingWhatIsNotThereIsDone) {
  auto remove = ActionRequest("o2/remove", "ghost", 1);
  remove.mutable_remove();
  EXPECT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
}

}  // namespace
}  // namespace mtp
