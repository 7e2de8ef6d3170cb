#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "agent/backup/tree.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;

uid_t OwnerOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_uid;
}

class Tree : public ::testing::Test {
 protected:
  Tree() {
    folder_.Write("outside/keep", "precious");
    fs::create_directories(folder_ / "data/acme");
  }
  testing::ScratchFolder folder_;
};

TEST_F(Tree, RemovesEverythingBeneathAndNothingElse) {
  folder_.Write("data/acme/a/b/c", "x");
  folder_.Write("data/acme-2/keep", "x");
  fs::create_symlink(folder_ / "outside", folder_ / "data/acme/a/link");
  fs::create_symlink("..", folder_ / "data/acme/up");

  ASSERT_TRUE(RemoveTreeBeneath(folder_ / "data", "acme").ok());

  EXPECT_FALSE(fs::exists(folder_ / "data/acme"));
  EXPECT_TRUE(fs::exists(folder_ / "data/acme-2/keep"));
  EXPECT_TRUE(fs::exists(folder_ / "outside/keep"));
  EXPECT_TRUE(RemoveTreeBeneath(folder_ / "data", "acme").ok()) << "absent is fine";
}

TEST_F(Tree, RemovesALinkInThePlaceOfTheTreeItself) {
  fs::remove_all(folder_ / "data/acme");
  fs::create_symlink(folder_ / "outside", folder_ / "data/acme");

  ASSERT_TRUE(RemoveTreeBeneath(folder_ / "data", "acme").ok());

  EXPECT_FALSE(fs::is_symlink(folder_ / "data/acme"));
  EXPECT_TRUE(fs::exists(folder_ / "outside/keep"));
}

TEST_F(Tree, RefusesNamesThatLeadElsewhere) {
  for (const std::string name : {"", ".", "..", "a/b", "../outside", "/etc"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RemoveTreeBeneath(folder_ / "data", name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(SetOwnerBeneath(folder_ / "data", name, 0, 0))) << name;
  }
}

TEST_F(Tree, RemovesNestingOfAnyDepth) {
  // Deeper than descriptors and PATH_MAX reach: built by descriptor.
  int at = open((folder_ / "data/acme").c_str(), O_RDONLY | O_DIRECTORY);
  for (int depth = 0; depth < 3000; ++depth) {
    ASSERT_EQ(mkdirat(at, "d", 0700), 0);
    const int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
    close(at);
    at = next;
  }
  close(at);

  const absl::Status status = RemoveTreeBeneath(folder_ / "data", "acme");

  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(fs::exists(folder_ / "data/acme"));
}

TEST_F(Tree, LeavesAMountedFileSystemAlone) {
  ASSERT_EQ(geteuid(), 0u) << "needs root to mount";
  fs::create_directories(folder_ / "data/acme/mounted");
  ASSERT_EQ(mount((folder_ / "outside").c_str(), (folder_ / "data/acme/mounted").c_str(), nullptr,
                  MS_BIND, nullptr),
            0);

  const absl::Status removed = RemoveTreeBeneath(folder_ / "data", "acme");
  const absl::Status owned = SetOwnerBeneath(folder_ / "data", "acme", 4242, 4242);
  ASSERT_EQ(umount((folder_ / "data/acme/mounted").c_str()), 0);

  EXPECT_TRUE(absl::IsFailedPrecondition(removed)) << removed;
  EXPECT_TRUE(absl::IsFailedPrecondition(owned)) << owned;
  EXPECT_TRUE(fs::exists(folder_ / "outside/keep"));
  EXPECT_EQ(OwnerOf(folder_ / "outside/keep"), geteuid());
}

TEST_F(Tree, GivesTheTreeToItsOwnerAndNothingThatLinksLeadTo) {
  ASSERT_EQ(geteuid(), 0u) << "needs root to change owners";
  folder_.Write("data/acme/a/file", "x");
  fs::create_symlink(folder_ / "outside/keep", folder_ / "data/acme/link");
  fs::create_symlink(folder_ / "outside", folder_ / "data/acme/a/link");

  ASSERT_TRUE(SetOwnerBeneath(folder_ / "data", "acme", 4242, 4343).ok());

  EXPECT_EQ(OwnerOf(folder_ / "data/acme"), 4242u);
  EXPECT_EQ(OwnerOf(folder_ / "data/acme/a/file"), 4242u);
  EXPECT_EQ(OwnerOf(folder_ / "data/acme/link"), 4242u);
  EXPECT_EQ(OwnerOf(folder_ / "outside/keep"), 0u);
  EXPECT_EQ(OwnerOf(folder_ / "outside"), 0u);
  EXPECT_TRUE(absl::IsNotFound(SetOwnerBeneath(folder_ / "data", "nobody", 1, 1)));
}

TEST_F(Tree, DoesNotGiveAwayAFileThatHasANameOutside) {
  ASSERT_EQ(geteuid(), 0u) << "needs root to change owners";
  fs::create_hard_link(folder_ / "outside/keep", folder_ / "data/acme/mine");

  ASSERT_TRUE(SetOwnerBeneath(folder_ / "data", "acme", 4242, 4242).ok());

  EXPECT_EQ(OwnerOf(folder_ / "outside/keep"), 0u);
}

// A client swaps a folder for a link to the outside, over and over, while the tree is walked.
class SwappingTree : public Tree {
 protected:
  void SetUp() override {
    for (int i = 0; i < 200; ++i) {
      folder_.Write("data/acme/s/f" + std::to_string(i), "x");
      folder_.Write("outside/f" + std::to_string(i), "precious");
    }
    fs::create_symlink(folder_ / "outside", folder_ / "data/acme/link");
    swapper_ = std::thread([this] {
      const std::string a = folder_ / "data/acme/s";
      const std::string b = folder_ / "data/acme/link";
      while (!stop_) {
        if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) ++swaps_;
      }
    });
    while (swaps_ < 10) std::this_thread::yield();
  }
  void TearDown() override { Join(); }
  void Join() {
    stop_ = true;
    if (swapper_.joinable()) swapper_.join();
  }
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> swaps_{0};
  std::thread swapper_;
};

TEST_F(SwappingTree, OwnersAreNeverChangedOutside) {
  ASSERT_EQ(geteuid(), 0u) << "needs root to change owners";
  for (int round = 0; round < 200; ++round) {
    // A link in the place of a folder may end a round early; that is allowed.
    SetOwnerBeneath(folder_ / "data", "acme", round % 2 == 0 ? 4242 : 4343, 4242).IgnoreError();
  }
  Join();
  for (const auto& entry : fs::directory_iterator(folder_ / "outside")) {
    EXPECT_EQ(OwnerOf(entry.path()), 0u) << entry.path();
  }
}

TEST_F(SwappingTree, NothingIsEverRemovedOutside) {
  const absl::Status status = RemoveTreeBeneath(folder_ / "data", "acme");
  Join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(fs::exists(folder_ / "data/acme"));
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "outside")) {
    kept += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(kept, 201);
}

}  // namespace
}  // namespace mtp
