// AgentService.StoreState over fake repositories.
#include "agent/api/store_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "agent/backup/state_copy.h"
#include "common/base/atomic_file.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/agent/fake_repository.h"

namespace mtp {
namespace {

class StoreStateTest : public ::testing::Test {
 protected:
  StoreStateTest() { repositories_.folder = folder_ / "repositories"; }

  static std::string Id(int number) { return absl::StrCat("01J", std::string(20, '0'), number); }
  static v1::StoreStateRequest Request(int number, const std::string& state = "sealed") {
    v1::StoreStateRequest request;
    request.mutable_repository()->set_url("/srv/main/_controller");
    request.mutable_repository()->set_password("p");
    request.set_fleet("mtp");
    request.set_copy_id(Id(number));
    request.set_state(state);
    return request;
  }
  absl::StatusOr<v1::StoreStateResponse> Store(const v1::StoreStateRequest& request) {
    return store_.Store(request, std::stop_token());
  }
  std::vector<std::string> Copies() {
    std::vector<std::string> ids;
    const auto snapshots =
        FakeRepository(&repositories_, "/srv/main/_controller").List("mtp", "_controller", nullptr);
    for (const RepositorySnapshot& snapshot : *snapshots) ids.push_back(snapshot.identity.backup);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  testing::TempFolder folder_;
  testing::SimClock clock_;
  FakeRepositories repositories_;
  std::function<void()> on_open_;
  StateStore store_{"h1", folder_ / "state-copy",
                    [this](RepositoryAccess access) -> absl::StatusOr<std::unique_ptr<Repository>> {
                      if (on_open_) on_open_();
                      return std::make_unique<FakeRepository>(&repositories_, access.url);
                    },
                    &clock_, NullLog()};
};

TEST_F(StoreStateTest, KeepsTheCopyAndLeavesNoFileBehind) {
  const auto stored = Store(Request(100));
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_TRUE(MakeFolders(folder_ / "out", 0700).ok());
  FakeRepository part(&repositories_, "/srv/main/_controller");
  ASSERT_TRUE(part.Restore(stored->snapshot(), folder_ / "out", nullptr).ok());
  EXPECT_EQ(*ReadFile(folder_ / "out/state", 1000), "sealed");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state-copy"));
}

TEST_F(StoreStateTest, TheSameCopyAgainIsTheSame) {
  const auto first = Store(Request(100));
  const auto second = Store(Request(100));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->snapshot(), second->snapshot());
  EXPECT_THAT(Copies(), ::testing::ElementsAre(Id(100)));
}

TEST_F(StoreStateTest, OnlyTheNewestThirtyStay) {
  for (int number = 100; number < 135; ++number) ASSERT_TRUE(Store(Request(number)).ok());
  const std::vector<std::string> copies = Copies();
  ASSERT_THAT(copies, ::testing::SizeIs(kStateCopiesKept));
  EXPECT_EQ(copies.front(), Id(105));
  EXPECT_EQ(copies.back(), Id(134));
  EXPECT_GT(repositories_.prunes, 0);
}

TEST_F(StoreStateTest, OldCopiesThatCannotBeRemovedDoNotFailTheNewOne) {
  repositories_.prune_error = absl::UnavailableError("locked");
  for (int number = 100; number < 132; ++number) ASSERT_TRUE(Store(Request(number)).ok());
  EXPECT_EQ(Copies().back(), Id(131));
}

TEST_F(StoreStateTest, AFailureIsToldAndLeavesNoFileBehind) {
  repositories_.backup_error = absl::ResourceExhaustedError("the disk is full");
  EXPECT_TRUE(absl::IsResourceExhausted(Store(Request(100)).status()));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state-copy"));
}

TEST_F(StoreStateTest, WhatADeadAgentLeftIsNotInTheCopy) {
  ASSERT_TRUE(MakeFolders(folder_ / "state-copy", 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "state-copy/old", "x", 0600).ok());
  const auto stored = Store(Request(100));
  ASSERT_TRUE(stored.ok());
  ASSERT_TRUE(MakeFolders(folder_ / "out", 0700).ok());
  FakeRepository part(&repositories_, "/srv/main/_controller");
  ASSERT_TRUE(part.Restore(stored->snapshot(), folder_ / "out", nullptr).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/old"));
}

TEST_F(StoreStateTest, RefusesWhatIsNoCopyOfAState) {
  const auto refused = [this](const std::function<void(v1::StoreStateRequest&)>& change) {
    v1::StoreStateRequest request = Request(100);
    change(request);
    return absl::IsInvalidArgument(Store(request).status());
  };
  EXPECT_TRUE(refused([](auto& request) { request.mutable_repository()->set_url("/srv/acme"); }));
  EXPECT_TRUE(refused([](auto& request) { request.set_copy_id("x"); }));
  EXPECT_TRUE(refused([](auto& request) { request.set_fleet("../x"); }));
  EXPECT_TRUE(refused([](auto& request) { request.clear_state(); }));
  EXPECT_TRUE(refused([](auto& request) { request.set_state(std::string((3 << 20) + 1, 'x')); }));
  EXPECT_EQ(repositories_.backups, 0);
}

TEST_F(StoreStateTest, OneAtATime) {
  absl::Status second;
  on_open_ = [&] {
    on_open_ = nullptr;
    second = Store(Request(101)).status();
  };
  EXPECT_TRUE(Store(Request(100)).ok());
  EXPECT_TRUE(absl::IsAborted(second));
  EXPECT_TRUE(Store(Request(101)).ok());
}

}  // namespace
}  // namespace mtp
