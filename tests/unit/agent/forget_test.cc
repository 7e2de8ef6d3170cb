// Removal of old backups: those that are named and no others, whatever happens to the agent.
#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Repositories : public BackupFixture {
 protected:
  Repositories() {
    Provision("acme");
    Write("acme/workspace/notes", "some text");
  }
  // Names of the snapshots that are in the tenant's repository, and `unused` for what waits to be
  // pruned.
  std::set<std::string> Held(const std::string& tenant) {
    std::set<std::string> held;
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(
             absl::StrCat(machine_.repositories.folder, "/_repository_", tenant), absent)) {
      held.insert(entry.path().filename());
    }
    return held;
  }
};

class ForgetTest : public Repositories {
 protected:
  ForgetTest() {
    for (const char* backup : {"b1", "b2", "b3"}) Snapshot("acme", backup);
    machine_.repositories.passwords.clear();
  }
};

TEST_F(ForgetTest, RemovesExactlyTheNamedOnesAndTheirData) {
  const v1::Action action = agent_->Finish(ForgetRequest("o/forget", "acme", {"b1", "b3", "b9"}));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_THAT(Held("acme"), ElementsAre("fleet+acme+b2"));
  EXPECT_EQ(action.result().at("removed"), "2");
  EXPECT_GT(std::stoll(action.result().at("freed_bytes")), 2 * 9);
  EXPECT_EQ(action.result().size(), 2u);
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(Pauses("mtp-acme"), 3);
}

TEST_F(ForgetTest, LeavesThoseOfOtherFleets) {
  auto request = ForgetRequest("o/forget", "acme", {"b1"});
  request.mutable_forget()->set_fleet("other");
  const v1::Action action = agent_->Finish(request);
  EXPECT_EQ(action.result().at("removed"), "0");
  EXPECT_THAT(Held("acme"), ElementsAre("fleet+acme+b1", "fleet+acme+b2", "fleet+acme+b3"));
}

TEST_F(ForgetTest, DoesSoForATenantThatIsNotHere) {
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(agent_->Finish(ForgetRequest("o/forget", "acme", {"b1"})).state(),
            v1::ACTION_STATE_DONE);
  EXPECT_THAT(Held("acme"), ElementsAre("fleet+acme+b2", "fleet+acme+b3"));
}

TEST_F(ForgetTest, ARepositoryThatIsNotThereHasNothingToRemove) {
  const v1::Action action = agent_->Finish(ForgetRequest("o/forget", "beta", {"b1"}));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("removed"), "0");
  EXPECT_EQ(action.result().at("freed_bytes"), "0");
}

TEST_F(ForgetTest, TellsNoSecret) {
  const auto request = ForgetRequest("o/forget", "acme", {"b1"});
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  EXPECT_FALSE(StoreHolds(kRepositoryPassword));
  agent_->Finish(request);
  EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
  EXPECT_THAT(machine_.repositories.passwords, ::testing::Each(kRepositoryPassword));
  EXPECT_FALSE(machine_.repositories.passwords.empty());
}

TEST_F(ForgetTest, WaitsForItsTurn) {
  ASSERT_EQ(agent_->backups.Ask("one", nullptr), 0);
  const auto request = ForgetRequest("o/forget", "acme", {"b1"});
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_THAT(Held("acme"), ::testing::SizeIs(3));
  agent_->backups.Leave("one");
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
}

TEST_F(ForgetTest, SaysThatTheyAreGoneAlsoWhenTheirDataStays) {
  machine_.repositories.prune_error = absl::AbortedError("the repository is locked");
  const v1::Action action = agent_->Finish(ForgetRequest("o/forget", "acme", {"b1"}));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("locked"));
  EXPECT_EQ(action.result().at("removed"), "1");
  EXPECT_THAT(Held("acme"), ElementsAre("fleet+acme+b2", "fleet+acme+b3", "unused"));
}

TEST_F(ForgetTest, ARepositoryThatStaysAwayFailsItAndNothingIsSaidToBeGone) {
  machine_.repositories.open_error = absl::UnavailableError("the server does not answer");
  const v1::Action action = agent_->Finish(ForgetRequest("o/forget", "acme", {"b1"}));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().message(), "the server does not answer, for 2m");
  EXPECT_EQ(action.result().count("removed"), 0u);
}

TEST_F(ForgetTest, RefusesRequestsThatCannotBeCarriedOut) {
  const auto refused = [this](const v1::EnsureActionRequest& request) {
    return absl::IsInvalidArgument(agent_->actions->Ensure(request).status());
  };
  EXPECT_TRUE(refused(ForgetRequest("o/1", "acme", {})));
  EXPECT_TRUE(refused(ForgetRequest("o/1", "acme", std::vector<std::string>(1001, "b1"))));
  EXPECT_TRUE(refused(ForgetRequest("o/1", "acme", {"b1", "../b2"})));
  auto request = ForgetRequest("o/1", "acme", {"b1"});
  request.mutable_forget()->clear_fleet();
  EXPECT_TRUE(refused(request));
  request = ForgetRequest("o/1", "acme", {"b1"});
  request.mutable_forget()->mutable_repository()->clear_password();
  EXPECT_TRUE(refused(request));
}

class ForgetCrash : public Repositories, public ::testing::WithParamInterface<bool> {};

TEST_P(ForgetCrash, AtEachCommitGoesOnToTheSameEnd) {
  Snapshot("acme", "kept");
  for (int at = 0;; ++at) {
    const std::vector<std::string> old = {absl::StrCat("x", at), absl::StrCat("y", at)};
    for (const std::string& backup : old) Snapshot("acme", backup);
    const auto request = ForgetRequest(absl::StrCat("o", at, "/forget"), "acme", old);
    const bool crashed = CrashAt(at, GetParam(), request);
    ASSERT_TRUE(begun_.ok()) << begun_;
    const v1::Action action = agent_->Finish(request);
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << "commit " << at;
    EXPECT_EQ(action.result().at("removed"), "2") << "commit " << at;
    EXPECT_EQ(action.result().count("freed_bytes"), 1u);
    EXPECT_THAT(Held("acme"), ElementsAre("fleet+acme+kept")) << "commit " << at;
    EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
    if (!crashed) {
      EXPECT_GE(at, 4);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, ForgetCrash, ::testing::Bool());

}  // namespace
}  // namespace mtp
