// What survives the death of the agent, and of the disk beneath it.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ActionCrashTest : public ActionsFixture {};

TEST_F(ActionCrashTest, AnEndThatCannotBeJournaledIsTriedUntilItCan) {
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

TEST_F(ActionCrashTest, PassesEachNamedPoint) {
  Provision("acme");
  agent_->points.clear();
  auto request = ActionRequest("o1/limit", "acme", 1);
  request.mutable_limit()->set_memory_limit_mib(512);
  ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  EXPECT_THAT(
      agent_->points,
      ElementsAre("before-persist o1/limit#begin", "after-persist o1/limit#begin",
                  "before-persist o1/limit#save", "after-persist o1/limit#save",
                  "after-phase o1/limit#1", "after-phase o1/limit#2", "after-phase o1/limit#3",
                  "after-phase o1/limit#4", "after-phase o1/limit#5", "before-persist o1/limit#end",
                  "after-persist o1/limit#end"));
}

// The agent dies at each commit of an action in turn, before and after it takes effect; the next
// life ends the action, and a controller that asks again sees one tenant.
class CrashAtEachCommit : public ActionsFixture, public ::testing::WithParamInterface<bool> {};

TEST_P(CrashAtEachCommit, AnApplyGoesOnToOneReadyTenant) {
  for (int at = 0;; ++at) {
    const std::string tenant = absl::StrCat("t", at);
    const auto request = ApplyRequest(absl::StrCat("o", at, "/start"), tenant, 1, 18801 + at);
    const bool crashed = CrashAt(at, GetParam(), request);
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
    const bool crashed = CrashAt(at, GetParam(), request);
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
    const bool crashed = CrashAt(at, GetParam(), request);
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
