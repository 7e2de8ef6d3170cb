#include "agent/tenants/actions.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/agent/fake_host.h"

namespace mtp {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ActionsTest : public ::testing::Test {
 protected:
  ActionsTest() { NewAgent(); }

  // The agent dies without a word and another begins.
  void NewAgent(int max_starts = 4) {
    agent_.reset();
    agent_.emplace(&machine_, max_starts);
    begun_ = agent_->reconciler->Begin();
  }
  bool HasContainer(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers.count(name) > 0;
  }
  bool IsRunning(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    auto found = machine_.engine.containers.find(name);
    return found != machine_.engine.containers.end() && found->second.running;
  }
  int Starts(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers[name].starts;
  }
  // A stopped or running tenant to begin with.
  void Provision(const std::string& tenant, int port = 18801) {
    const v1::Action action = agent_->Finish(ApplyRequest("setup/" + tenant, tenant, 1, port));
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  }
  void Stop(const std::string& tenant) {
    auto request = ActionRequest("setup-stop/" + tenant, tenant, 1);
    request.mutable_stop();
    ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  }

  FakeMachine machine_;
  std::optional<FakeAgent> agent_;
  absl::Status begun_;
};

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

TEST_F(ActionsTest, AContainerThatKeepsEndingFailsEarlyWithItsLastWordsAndNoSecret) {
  machine_.openclaw.ready = false;
  machine_.engine.on_start = [](FakeContainer& container) {
    container.log = "config ok\nboom: token 123:planted-secret refused\n";
    container.restarts_by_engine = 0;
  };
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Seconds(2));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].restarts_by_engine = 3;
    machine_.engine.containers["mtp-acme"].exit_code = 78;
  }
  const absl::Duration before = machine_.clock.Monotonic();
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_LT(machine_.clock.Monotonic() - before, absl::Seconds(10));
  EXPECT_THAT(action.error().message(), HasSubstr("exit code 78"));
  EXPECT_THAT(action.error().message(), HasSubstr("boom: token"));
  EXPECT_THAT(action.error().message(), Not(HasSubstr("planted-secret")));
}

TEST_F(ActionsTest, AContainerThatTheKernelKilledSaysSo) {
  machine_.engine.on_start = [](FakeContainer& container) {
    container.running = false;
    container.oom_killed = true;
  };
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("for want of memory (limit 2048 MiB)"));
}

TEST_F(ActionsTest, AStartWithoutAnyActivityIsGivenUpAfterTwoMinutes) {
  machine_.openclaw.ready = false;
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(machine_.clock.Monotonic(), absl::Seconds(120));
  EXPECT_LT(machine_.clock.Monotonic(), absl::Seconds(135));
  EXPECT_THAT(action.error().message(), HasSubstr("startup-sidecars"));
}

TEST_F(ActionsTest, AStartThatWorksIsWaitedForBeyondTwoMinutesAndGivenUpAtTheCap) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  for (int second = 0; second < 600; ++second) {
    machine_.executor.RunFor(absl::Seconds(1));
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].cpu_ns += 500'000'000;
  }
  EXPECT_TRUE(agent_->actions->IsStarting("acme"));
  machine_.openclaw.ready = true;
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(), v1::ACTION_STATE_DONE);

  machine_.openclaw.ready = false;
  auto restart = ActionRequest("o2/restart", "acme", 1);
  restart.mutable_restart();
  const absl::Duration before = machine_.clock.Monotonic();
  ASSERT_TRUE(agent_->actions->Ensure(restart).ok());
  while (agent_->actions->IsBusy("acme")) {
    machine_.executor.RunFor(absl::Seconds(1));
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].cpu_ns += 500'000'000;
  }
  EXPECT_GE(machine_.clock.Monotonic() - before, absl::Minutes(15));
  EXPECT_LT(machine_.clock.Monotonic() - before, absl::Minutes(16));
}

TEST_F(ActionsTest, StartsWaitForASlotAndSayHowManyAreAhead) {
  NewAgent(/*max_starts=*/1);
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "a", 1, 18801)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o2/start", "b", 1, 18802)).ok());
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o3/start", "c", 1, 18803)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  EXPECT_TRUE(IsRunning("mtp-a"));
  EXPECT_FALSE(HasContainer("mtp-b"));
  EXPECT_EQ(agent_->actions->Ensure(ApplyRequest("o3/start", "c", 1, 18803))->message(),
            "waiting for a start slot (2 ahead)");
  machine_.openclaw.ready = true;
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(IsRunning("mtp-b") && IsRunning("mtp-c"));
}

TEST_F(ActionsTest, AFailedStartGivesItsSlotBack) {
  NewAgent(/*max_starts=*/1);
  machine_.compose.up_error = absl::FailedPreconditionError("port is already allocated");
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "a", 1, 18801)).state(),
            v1::ACTION_STATE_FAILED);
  machine_.compose.up_error = absl::OkStatus();
  EXPECT_EQ(agent_->Finish(ApplyRequest("o2/start", "b", 1, 18802)).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ActionsTest, ACancelledStartEndsCancelled) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(agent_->actions->Cancel("o1/start").ok());
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(),
            v1::ACTION_STATE_CANCELLED);
  EXPECT_EQ(agent_->actions->Cancel("never/was").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ActionsTest, AnEngineThatIsAwayForAMomentFailsNothing) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = true;
  }
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Minutes(2));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = false;
  }
  EXPECT_EQ(agent_->Finish(ApplyRequest("o1/start", "acme", 1)).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ActionsTest, AnEngineThatStaysAwayFailsTheActionInTheEnd) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.away = true;
  }
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_LE(machine_.clock.Monotonic(), absl::Minutes(6));
}

TEST_F(ActionsTest, AnImageThatIsNowhereIsNamedWithWhatToDo) {
  auto request = ApplyRequest("o1/start", "acme", 1);
  request.mutable_apply()->mutable_spec()->set_image("nowhere:9");
  const v1::Action action = agent_->Finish(request);
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("nowhere:9"));
  EXPECT_THAT(action.error().message(), HasSubstr("docker load"));
}

TEST_F(ActionsTest, AConfigurationThatTheImageRefusesNeverReachesTheTenant) {
  machine_.compose.config_issues =
      R"({"ok":false,"valid":false,"issues":[{"path":"gateway.mode","message":"Invalid input"}]})";
  const v1::Action action = agent_->Finish(ApplyRequest("o1/start", "acme", 1));
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(action.error().message(), HasSubstr("gateway.mode: Invalid input"));
  EXPECT_FALSE(HasContainer("mtp-acme"));
}

TEST_F(ActionsTest, AConfigurationIsCheckedOnceForAllTenantsAndWithoutSecrets) {
  Provision("a", 18801);
  Provision("b", 18802);
  EXPECT_EQ(machine_.compose.one_offs, 1);
  for (const auto& [name, value] : machine_.compose.checked.env) {
    EXPECT_THAT(value, Not(HasSubstr("planted"))) << name;
  }
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

TEST_F(ActionsTest, ARestartThatIsResumedRestartsNoSecondTime) {
  Provision("acme");
  machine_.openclaw.ready = false;
  auto restart = ActionRequest("o2/restart", "acme", 1);
  restart.mutable_restart();
  ASSERT_TRUE(agent_->actions->Ensure(restart).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_EQ(machine_.compose.restarts, 1);
  NewAgent();
  machine_.openclaw.ready = true;
  EXPECT_EQ(agent_->Finish(restart).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(machine_.compose.restarts, 1);
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

TEST_F(ActionsTest, AnEndThatCannotBeJournaledIsTriedUntilItCan) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  machine_.executor.RunFor(absl::Seconds(1));
  agent_->store.choose_fault = [](const kv::Txn&) { return testing::CommitFault::kDiskFull; };
  machine_.openclaw.ready = true;
  machine_.executor.RunFor(absl::Seconds(3));
  EXPECT_TRUE(agent_->actions->IsBusy("acme"));
  agent_->store.choose_fault = nullptr;
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_FALSE(agent_->actions->IsBusy("acme"));
  EXPECT_EQ(agent_->journal.Action("o1/start")->action().state(), v1::ACTION_STATE_DONE);
}

// The agent dies at each commit of an action in turn, before and after it takes effect; the next
// life ends the action, and a controller that asks again sees one tenant.
class CrashAtEachCommit : public ActionsTest, public ::testing::WithParamInterface<bool> {
 protected:
  // Returns how many commits the action made, 0 when `request` did not reach commit `at`.
  bool CrashAt(int at, const v1::EnsureActionRequest& request) {
    int commits = 0;
    agent_->store.choose_fault = [&](const kv::Txn&) {
      if (commits++ != at) return testing::CommitFault::kNone;
      return GetParam() ? testing::CommitFault::kCrashAfter : testing::CommitFault::kCrashBefore;
    };
    agent_->store.on_crash = [this] { machine_.executor.DropAll(); };
    agent_->Finish(request);
    const bool crashed = agent_->store.crashed();
    NewAgent();
    EXPECT_TRUE(begun_.ok()) << begun_;
    return crashed;
  }
};

TEST_P(CrashAtEachCommit, AnApplyGoesOnToOneReadyTenant) {
  for (int at = 0;; ++at) {
    const std::string tenant = absl::StrCat("t", at);
    const auto request = ApplyRequest(absl::StrCat("o", at, "/start"), tenant, 1, 18801 + at);
    const bool crashed = CrashAt(at, request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_EQ(Starts("mtp-" + tenant), 1) << "commit " << at;
    EXPECT_THAT(machine_.disk->List("/action-secrets/"), IsEmpty());
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

TEST_P(CrashAtEachCommit, ABackupGoesOnToOneArchive) {
  Provision("acme");
  Stop("acme");
  for (int at = 0;; ++at) {
    auto request = ActionRequest(absl::StrCat("o", at, "/backup"), "acme", 1);
    request.mutable_backup()->set_backup_id(absl::StrCat("b", at));
    const bool crashed = CrashAt(at, request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    int archives = 0;
    for (const auto& entry : std::filesystem::directory_iterator(agent_->project.BackupsPath())) {
      archives += absl::EndsWith(entry.path().string(), absl::StrCat("-b", at, ".tar.gz")) ? 1 : 0;
    }
    EXPECT_EQ(archives, 1) << "commit " << at;
    if (!crashed) return;
  }
}

TEST_P(CrashAtEachCommit, ARemoveGoesOnUntilNothingIsLeft) {
  for (int at = 0;; ++at) {
    const std::string tenant = absl::StrCat("t", at);
    Provision(tenant, 18801 + at);
    auto request = ActionRequest(absl::StrCat("o", at, "/remove"), tenant, 1);
    request.mutable_remove();
    const bool crashed = CrashAt(at, request);
    EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_FALSE(HasContainer("mtp-" + tenant));
    EXPECT_FALSE(std::filesystem::exists(agent_->project.DataPath() + "/" + tenant));
    EXPECT_EQ(agent_->ReadProjectFile("tenants.conf"), "");
    if (!crashed) return;
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, CrashAtEachCommit, ::testing::Bool());

}  // namespace
}  // namespace mtp
