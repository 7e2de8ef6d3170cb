// Drills: a sandbox that can reach nobody, that proves what it can, and of which nothing is left.
#include <gmock/gmock.h>

#include <fstream>

#include "agent/compose/sandbox.h"
#include "common/base/status.h"
#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSandbox[] = "mtp-drill_acme";

class DrillTest : public BackupFixture {
 protected:
  DrillTest() {
    Provision("acme");
    Write("acme/workspace/notes", "of the backup");
    backup_ = Snapshot("acme", "b1");
    Write("acme/workspace/notes", "newer");
  }
  static v1::EnsureActionRequest DrillRequest(const std::string& key, const std::string& tenant,
                                              const v1::BackupReference& backup) {
    auto request = ActionRequest(key, tenant, 1);
    v1::DrillBackupAction& drill = *request.mutable_drill();
    *drill.mutable_backup() = backup;
    SetRepository(drill.mutable_repository(), backup.tenant());
    drill.mutable_spec()->set_image("openclaw:1");
    drill.mutable_spec()->set_memory_limit_mib(1536);
    return request;
  }
  v1::Action Drill() { return agent_->Finish(DrillRequest("o/drill", "acme", backup_)); }
  // What a sandbox does when it starts, beside running on. A tenant's start is left alone.
  void WhenItStarts(std::function<void(FakeContainer&)> act) {
    machine_.engine.on_start = [this, act = std::move(act)](FakeContainer& container) {
      if (&container == &machine_.engine.containers[kSandbox]) act(container);
    };
  }
  void ExpectNothingIsLeft() {
    EXPECT_FALSE(HasContainer(kSandbox));
    EXPECT_THAT(Names(".drills"), IsEmpty());
    EXPECT_THAT(Names(".restores"), IsEmpty());
    EXPECT_TRUE(IsRunning("mtp-acme"));
    EXPECT_EQ(Starts("mtp-acme"), 1);
    EXPECT_EQ(Read("acme/workspace/notes"), "newer");
    EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
  }
  // The agent is killed: nothing of it can clean up any more.
  void KillAgent() {
    machine_.engine.SetAway(true);
    NewAgent();
    machine_.engine.SetAway(false);
  }
  // The agent does so many pieces of work.
  void Work(int steps) {
    while (steps-- > 0 && machine_.executor.RunNext(machine_.clock.Monotonic() + absl::Hours(1))) {
    }
  }

  v1::BackupReference backup_;
};

TEST_F(DrillTest, StartsTheBackupAndLeavesNothing) {
  std::string file;
  std::string notes;
  WhenItStarts([&](FakeContainer& container) {
    file = container.file;
    notes = Read(".drills/acme/data/workspace/notes");
  });
  const v1::Action action = Drill();
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(notes, "of the backup");
  EXPECT_EQ(action.result().at("image_id"), "sha256:1");
  EXPECT_EQ(action.result().at("databases"), "0");
  EXPECT_EQ(action.result().count("ready_ms"), 1);
  // Before the start, and what the start has left.
  EXPECT_THAT(machine_.checked_folders, ::testing::IsSupersetOf({DataPath(".restores/acme/data"),
                                                                 DataPath(".drills/acme/data")}));
  EXPECT_THAT(file, AllOf(HasSubstr("network_mode: none\n"), HasSubstr("restart: \"no\"\n"),
                          HasSubstr("mem_limit: 1536m\n"), HasSubstr("image: \"openclaw:1\"\n"),
                          HasSubstr("cap_drop: [ALL]"), HasSubstr("hostname: mtp-acme\n"),
                          HasSubstr("container_name: mtp-drill_acme\n"),
                          HasSubstr("./data/.drills/acme/data/.openclaw")));
  EXPECT_THAT(file, AllOf(Not(HasSubstr("ports")), Not(HasSubstr("planted-secret")),
                          Not(HasSubstr(std::string(64, 'a'))), Not(HasSubstr("mtp.tenant"))));
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, VariablesStandInForThoseThatTheConfigurationNames) {
  v1::TenantSpec spec;
  spec.set_telegram_api_root("http://10.0.0.1:8081");
  const std::string config =
      "{botToken: \"${TELEGRAM_BOT_TOKEN}\", apiRoot: \"${TELEGRAM_API_ROOT}\", k: \"${OTHER}\"}";
  const auto environment = SandboxEnvironment(config, spec, "t0ken");
  EXPECT_EQ(environment.at("OPENCLAW_GATEWAY_TOKEN"), "t0ken");
  EXPECT_EQ(environment.at("TELEGRAM_API_ROOT"), "http://10.0.0.1:8081");
  EXPECT_THAT(environment.at("TELEGRAM_BOT_TOKEN"),
              ::testing::MatchesRegex("[0-9]+:[A-Za-z0-9_-]+"));
  // One that is set without need changes what OpenClaw loads.
  EXPECT_EQ(environment.size(), 3u);
}

TEST_F(DrillTest, TheBackupsConfigurationDecidesWhichVariablesThereAre) {
  std::string file;
  WhenItStarts([&](FakeContainer& container) { file = container.file; });
  ASSERT_EQ(Drill().state(), v1::ACTION_STATE_DONE);
  EXPECT_THAT(file, AllOf(HasSubstr("TELEGRAM_BOT_TOKEN: "), Not(HasSubstr("OPENROUTER"))));
}

TEST_F(DrillTest, ADamagedDatabaseInTheBackupIsNotStarted) {
  machine_.databases->damaged.push_back({"state/x.sqlite", "malformed"});
  const v1::Action action = Drill();
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(FromError(action.error()).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(action.error().message(), AllOf(HasSubstr("state/x.sqlite"), HasSubstr("backup")));
  EXPECT_EQ(machine_.compose.ups, 1);
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, ADatabaseThatTheStartDamagedFailsIt) {
  WhenItStarts([&](FakeContainer&) {
    machine_.databases->damaged.push_back({"state/x.sqlite", "malformed"});
  });
  const v1::Action action = Drill();
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("after the start: [\"state/x.sqlite\"]"));
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, OneThatEndsFailsWithItsLastWords) {
  WhenItStarts([&](FakeContainer& container) {
    container.running = false;
    container.exit_code = 7;
    container.log = "migrating\nthe migration failed\n";
  });
  const v1::Action action = Drill();
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(),
              AllOf(HasSubstr("exit code 7"), HasSubstr("the migration failed")));
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, ABackupThatDiffersFromItsManifestIsNotStarted) {
  machine_.repositories.on_restore = [](const std::string& folder) {
    std::ofstream(folder + "/data/workspace/notes") << "of the backuq";
  };
  const v1::Action action = Drill();
  EXPECT_EQ(FromError(action.error()).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(machine_.compose.ups, 1);
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, WithoutItsImageNothingIsRead) {
  machine_.engine.images.clear();
  machine_.repositories.passwords.clear();
  const v1::Action action = Drill();
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("openclaw:1"));
  EXPECT_THAT(machine_.repositories.passwords, IsEmpty());
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, WaitsForAStartSlotLikeATenant) {
  NewAgent(/*max_starts=*/1);
  agent_->starts.Ask("another", nullptr);
  const auto request = DrillRequest("o/drill", "acme", backup_);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Minutes(1));
  EXPECT_FALSE(HasContainer(kSandbox));
  EXPECT_THAT(agent_->messages, Contains("waiting for a start slot (1 ahead)"));
  agent_->starts.Leave("another");
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(agent_->starts.Ask("next", nullptr), 0);
}

TEST_F(DrillTest, ItsSandboxHoldsUpNoOtherBackup) {
  machine_.openclaw.ready = false;
  WhenItStarts([](FakeContainer& container) { container.log = "starting"; });
  ASSERT_TRUE(agent_->actions->Ensure(DrillRequest("o/drill", "acme", backup_)).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  ASSERT_TRUE(IsRunning(kSandbox));
  EXPECT_EQ(agent_->backups.Ask("next", nullptr), 0);
}

TEST_F(DrillTest, CanBeCancelledWhileItWaits) {
  machine_.openclaw.ready = false;
  const auto request = DrillRequest("o/drill", "acme", backup_);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  ASSERT_TRUE(IsRunning(kSandbox));
  ASSERT_TRUE(agent_->actions->Cancel("o/drill").ok());
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_CANCELLED);
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, BeginsAnewAfterADeathAtAnyPoint) {
  int deaths = 0;
  for (int steps = 1;; ++steps) {
    const auto request = DrillRequest(absl::StrCat("o/drill", steps), "acme", backup_);
    ASSERT_TRUE(agent_->actions->Ensure(request).ok());
    Work(steps);
    const bool ended = agent_->actions->Ensure(request)->state() != v1::ACTION_STATE_RUNNING;
    KillAgent();
    const v1::Action action = agent_->Finish(request);
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << steps << action.ShortDebugString();
    ExpectNothingIsLeft();
    if (ended) break;
    ++deaths;
  }
  EXPECT_GE(deaths, 9);
}

TEST_F(DrillTest, WhatACancelledOneCouldNotRemoveIsRemovedLater) {
  machine_.openclaw.ready = false;
  const auto request = DrillRequest("o/drill", "acme", backup_);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  // A sandbox in use is left alone.
  agent_->reconciler->LookOnce();
  EXPECT_TRUE(IsRunning(kSandbox));
  machine_.engine.SetAway(true);
  ASSERT_TRUE(agent_->actions->Cancel("o/drill").ok());
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_CANCELLED);
  machine_.engine.SetAway(false);
  EXPECT_TRUE(HasContainer(kSandbox));
  KillAgent();
  agent_->reconciler->LookOnce();
  ExpectNothingIsLeft();
}

TEST_F(DrillTest, ATenantThatIsNotHereIsNoHindrance) {
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(Drill().state(), v1::ACTION_STATE_DONE);
  EXPECT_FALSE(HasContainer(kSandbox));
  EXPECT_FALSE(agent_->data.Exists("acme"));
}

TEST_F(DrillTest, TheRepositorysPasswordIsForgotten) {
  machine_.openclaw.ready = false;
  const auto request = DrillRequest("o/drill", "acme", backup_);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  EXPECT_FALSE(StoreHolds(kRepositoryPassword));
  machine_.openclaw.ready = true;
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
}

TEST_F(DrillTest, WhatNoScriptCouldCarryOutIsRefused) {
  const auto refused = [&](auto change) {
    auto request = DrillRequest("o/bad", "acme", backup_);
    change(*request.mutable_drill());
    return absl::IsInvalidArgument(agent_->actions->Ensure(request).status());
  };
  EXPECT_TRUE(refused([](auto& drill) { drill.mutable_spec()->set_image("a b"); }));
  EXPECT_TRUE(refused([](auto& drill) { drill.mutable_spec()->set_memory_limit_mib(0); }));
  EXPECT_TRUE(refused([](auto& drill) { drill.clear_repository(); }));
  EXPECT_TRUE(refused([](auto& drill) { drill.mutable_backup()->clear_manifest_sha256(); }));
}

}  // namespace
}  // namespace mtp
