// What the agents of the builds in tests/golden have journaled: this one understands all of it, and
// each action that was going on comes to an end.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "agent/tenants/scripts.h"
#include "common/kv/sqlite_store.h"
#include "tests/support/paths.h"
#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr int kUnknownKind = 500;

std::vector<std::string> Builds() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(testing::SourcePath("tests/golden"))) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  return names;
}

class GoldenJournal : public ActionsFixture, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    const std::string recorded = testing::SourcePath("tests/golden/" + GetParam());
    std::filesystem::copy(recorded + "/journal.db", folder_ / "journal.db");
    std::filesystem::copy(recorded + "/controller/master.key", folder_ / "key");
    std::filesystem::permissions(folder_ / "key", std::filesystem::perms(0600));
    auto entries = kv::ReadSqliteStore(folder_ / "journal.db");
    ASSERT_TRUE(entries.ok()) << entries.status();
    auto box = SecretBox::OpenExisting(folder_ / "key");
    ASSERT_TRUE(box.ok()) << box.status();
    agent_.reset();
    machine_.box = *std::move(box);
    for (const kv::Entry& entry : *entries) {
      ASSERT_TRUE(machine_.disk->Commit(kv::Txn().Put(entry.key, entry.value)).ok());
    }
    NewAgent();
    ASSERT_TRUE(begun_.ok()) << begun_;
  }

  // What the journal has, but for what this agent has begun by itself.
  std::vector<state::v1::AgentActionRecord> Actions(bool running) {
    std::vector<state::v1::AgentActionRecord> records;
    const auto all = agent_->journal.Actions().value();
    for (const auto& record : all) {
      if (absl::StartsWith(record.action().key(), kRecoveryKeyPrefix)) continue;
      const bool runs = record.action().state() == v1::ACTION_STATE_RUNNING;
      if (runs == running) records.push_back(record);
    }
    return records;
  }

  testing::TempFolder folder_;
};

TEST_P(GoldenJournal, IsUnderstoodToTheLastRecord) {
  const auto tenants = agent_->journal.Tenants();
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  EXPECT_GT(tenants->size(), 10U);
  for (const auto& record : *tenants) {
    const auto name = TenantName::Parse(record.name());
    ASSERT_TRUE(name.ok()) << record.name();
    EXPECT_EQ(agent_->journal.HighestEpoch(*name), record.epoch());
    const auto secrets = agent_->journal.Secrets(*name);
    ASSERT_TRUE(secrets.ok()) << secrets.status();
    EXPECT_TRUE(absl::StrContains(secrets->telegram_token(), "not-a-secret"));
    // A policy that nobody had then is that of a tenant that stays.
    EXPECT_EQ(record.spec().failover_policy(), v1::FAILOVER_POLICY_UNSPECIFIED);
  }
  std::set<std::string> kinds;
  const auto actions = agent_->journal.Actions().value();
  for (const auto& record : actions) {
    EXPECT_NE(NewScript(&agent_->tools, record.request()), nullptr) << record.action().key();
    kinds.emplace(absl::StripPrefix(
        record.action().key().substr(record.action().key().find('/') + 1), "done-"));
  }
  EXPECT_THAT(kinds, IsSupersetOf({"apply", "start", "stop", "restart", "backup", "remove",
                                   "snapshot", "verify", "restore", "forget", "pull", "drill",
                                   "soak", "limit", "check"}));
}

// Most of them cannot succeed on an empty host; each says why.
TEST_P(GoldenJournal, EndsEachActionThatWasGoingOn) {
  machine_.executor.RunFor(absl::Hours(3));
  EXPECT_EQ(Actions(/*running=*/true).size(), 0U);
  for (const auto& record : Actions(/*running=*/false)) {
    const v1::Action& action = record.action();
    EXPECT_TRUE(v1::ActionState_IsValid(action.state())) << action.ShortDebugString();
    EXPECT_EQ(action.has_error(), action.state() != v1::ACTION_STATE_DONE) << action.key();
    if (action.has_error()) {
      EXPECT_FALSE(action.error().message().empty()) << action.key();
      EXPECT_THAT(action.error().message(), Not(HasSubstr("another version"))) << action.key();
    }
  }
}

TEST_P(GoldenJournal, TellsHowWhatHadEndedEnded) {
  const auto ended = Actions(/*running=*/false);
  ASSERT_FALSE(ended.empty());
  for (const auto& record : ended) {
    const auto action = agent_->actions->Cancel(record.action().key());
    ASSERT_TRUE(action.ok()) << action.status();
    EXPECT_EQ(action->ShortDebugString(), record.action().ShortDebugString());
  }
}

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenJournal, ::testing::ValuesIn(Builds()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

class NewerJournal : public ActionsFixture {};

// An agent of a newer build began something that this one has no name for: it fails with a sentence
// and holds nothing up, and what this build does not know of it stays in the journal.
TEST_F(NewerJournal, FailsAnActionThatThisBuildDoesNotKnow) {
  state::v1::AgentActionRecord record;
  record.mutable_action()->set_key("01J/newer");
  record.mutable_action()->set_tenant("acme");
  record.mutable_action()->set_state(v1::ACTION_STATE_RUNNING);
  record.mutable_request()->set_key("01J/newer");
  record.mutable_request()->set_tenant("acme");
  record.mutable_request()->set_epoch(1);
  v1::EnsureActionRequest& request = *record.mutable_request();
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(kUnknownKind, "");
  ASSERT_TRUE(
      machine_.disk->Commit(kv::Txn().Put("/actions/01J/newer", record.SerializeAsString())).ok());
  NewAgent();
  machine_.executor.RunFor(absl::Minutes(1));
  const auto kept = agent_->journal.Action("01J/newer");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->action().state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(kept->action().error().message(), HasSubstr("Bring the agent to the controller's"));
  const v1::EnsureActionRequest& asked = kept->request();
  EXPECT_EQ(asked.GetReflection()->GetUnknownFields(asked).field_count(), 1);
  EXPECT_FALSE(agent_->actions->IsBusy("acme"));
}

}  // namespace
}  // namespace mtp
