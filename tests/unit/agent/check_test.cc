// Checks of a tenant's part of a repository.
#include <gmock/gmock.h>

#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CheckTest : public BackupFixture {
 protected:
  CheckTest() { Provision("acme"); }
  static v1::EnsureActionRequest CheckRequest(bool read_data, const std::string& key = "o/check") {
    auto request = ActionRequest(key, "acme", 1);
    request.mutable_check()->set_read_data(read_data);
    SetRepository(request.mutable_check()->mutable_repository(), "acme");
    return request;
  }
};

TEST_F(CheckTest, CountsWhatIsThere) {
  Snapshot("acme", "b1");
  Snapshot("acme", "b2");
  const v1::Action action = agent_->Finish(CheckRequest(false));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("snapshots"), "2");
  EXPECT_THAT(machine_.repositories.checks, ElementsAre(false));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(CheckTest, ReadsAllDataWhenAsked) {
  Snapshot("acme", "b1");
  ASSERT_EQ(agent_->Finish(CheckRequest(true)).state(), v1::ACTION_STATE_DONE);
  EXPECT_THAT(machine_.repositories.checks, ElementsAre(true));
}

TEST_F(CheckTest, SaysThatItIsDamaged) {
  machine_.repositories.check_error = absl::DataLossError("the repository is damaged");
  const v1::Action action = agent_->Finish(CheckRequest(false));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_EQ(action.error().message(), "the repository is damaged");
  EXPECT_EQ(action.result().count("snapshots"), 0u);
}

TEST_F(CheckTest, AsksOneThatIsAwayAgain) {
  machine_.repositories.check_error = absl::UnavailableError("the server is away");
  const v1::EnsureActionRequest request = CheckRequest(false);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  machine_.executor.RunFor(absl::Seconds(30));
  machine_.repositories.check_error = absl::OkStatus();
  EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
}

TEST_F(CheckTest, KeepsNoPassword) {
  const v1::EnsureActionRequest request = CheckRequest(false);
  ASSERT_TRUE(agent_->actions->Ensure(request).ok());
  EXPECT_FALSE(StoreHolds(kRepositoryPassword));
  agent_->Finish(request);
  EXPECT_THAT(machine_.disk->List("/action-repositories/"), IsEmpty());
}

TEST_F(CheckTest, GoesOnAfterEveryDeathOfTheAgent) {
  Snapshot("acme", "b1");
  for (const bool after : {false, true}) {
    for (int at = 0; at < 20; ++at) {
      const auto request = CheckRequest(false, absl::StrCat("o", after, "-", at, "/check"));
      if (!CrashAt(at, after, request)) break;
      EXPECT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE) << at;
    }
  }
}

TEST_F(CheckTest, WithoutARepositoryItIsMalformed) {
  auto request = CheckRequest(false);
  request.mutable_check()->clear_repository();
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
}

}  // namespace
}  // namespace mtp
