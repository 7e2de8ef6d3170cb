// What ends or disturbs a copy from outside: a full disk, a stop request, a client that swaps what
// is being read.
#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "agent/backup/file_copy.h"
#include "agent/backup/staging.h"
#include "common/base/file_descriptor.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StagingLimitsTest : public ::testing::Test {
 protected:
  StagingLimitsTest() {
    fs::create_directories(folder_ / "data/acme");
    fs::create_directories(folder_ / "staging");
    request_.data_root = folder_ / "data";
    request_.name = "acme";
    request_.staging_root = folder_ / "staging";
  }
  void Create() {
    staging_.reset();
    auto created = Staging::Create(request_);
    ASSERT_TRUE(created.ok()) << created.status();
    staging_ = std::move(*created);
  }
  std::string Source(const std::string& name) const { return folder_ / ("data/acme/" + name); }
  std::string Copy(const std::string& name) const {
    return folder_ / ("staging/acme/data/" + name);
  }
  static int64_t SizeOf(const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
  }

  testing::ScratchFolder folder_;
  StagingRequest request_;
  std::unique_ptr<Staging> staging_;
};

// restic 0.14 gives such a link back as another one, so that no restore would pass its comparison.
TEST_F(StagingLimitsTest, LeavesALinkOutWhoseTargetIsNoText) {
  fs::create_symlink("caf\xc3\xa9\n", Source("text"));
  fs::create_symlink("good", Source("changes"));
  Create();
  ASSERT_TRUE(staging_->Refresh({}, {}).ok());
  EXPECT_TRUE(staging_->skipped().empty());
  fs::remove(Source("changes"));
  fs::create_symlink("bytes\xff", Source("changes"));
  for (int pass = 0; pass < 2; ++pass) {
    ASSERT_TRUE(staging_->Refresh({}, {}).ok());
    ASSERT_EQ(staging_->skipped().size(), 1U);
    EXPECT_EQ(staging_->skipped()[0].path, "changes");
    EXPECT_THAT(staging_->skipped()[0].reason, HasSubstr("not UTF-8"));
    EXPECT_FALSE(fs::is_symlink(Copy("changes")));
  }
  EXPECT_EQ(fs::read_symlink(Copy("text")), "caf\xc3\xa9\n");
}

class FullDisk : public StagingLimitsTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can mount a small disk";
  }
  void TearDown() override {
    staging_.reset();
    if (mounted_) {
      EXPECT_EQ(umount2((folder_ / "staging").c_str(), MNT_DETACH), 0);
    }
  }
  // False, and the test is skipped, where mounting is not allowed.
  bool Mount(const std::string& options) {
    mounted_ = mount("tmpfs", (folder_ / "staging").c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                     options.c_str()) == 0;
    return mounted_;
  }

  bool mounted_ = false;
};

TEST_F(FullDisk, IsNamedAndTheCopyIsMadeWholeOnceThereIsRoom) {
  if (!Mount("size=8m")) GTEST_SKIP() << "no mount for a small disk: " << std::strerror(errno);
  for (const char* name : {"a", "b", "c"}) {
    folder_.Write(std::string("data/acme/") + name, std::string(4 << 20, *name));
  }
  Create();

  const absl::Status full = staging_->Refresh({}, {}).status();

  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("No space left on device"));

  fs::remove(Source("a"));
  fs::resize_file(Source("b"), 1 << 20);
  const auto again = staging_->Refresh({}, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(fs::exists(Copy("a")));
  for (const char* name : {"b", "c"}) {
    EXPECT_TRUE(folder_.Read(std::string("data/acme/") + name) ==
                folder_.Read(std::string("staging/acme/data/") + name))
        << name;
  }
}

TEST_F(FullDisk, IsNamedWhenAKnownFileGrows) {
  if (!Mount("size=8m")) GTEST_SKIP() << "no mount for a small disk: " << std::strerror(errno);
  folder_.Write("data/acme/a", std::string(1 << 20, 'a'));
  Create();
  ASSERT_TRUE(staging_->Refresh({}, {}).ok());
  std::ofstream(Source("a"), std::ios::app | std::ios::binary) << std::string(16 << 20, 'b');

  EXPECT_TRUE(absl::IsResourceExhausted(staging_->Refresh({}, {}).status()));
}

TEST_F(FullDisk, IsNamedWhenThereAreTooManyFilesForIt) {
  if (!Mount("nr_inodes=50")) GTEST_SKIP() << "no mount for a small disk: " << std::strerror(errno);
  for (int i = 0; i < 60; ++i) fs::create_directories(Source("d" + std::to_string(i)));
  Create();

  EXPECT_TRUE(absl::IsResourceExhausted(staging_->Refresh({}, {}).status()));
}

TEST_F(StagingLimitsTest, StopRequestEndsTheCopyInTheMiddleOfALargeFile) {
  constexpr int64_t kSize = 256 << 20;
  // What may be in the middle of being copied when the request comes, with room.
  constexpr int64_t kCopiedAfterwards = 16 << 20;
  {
    std::ofstream big(Source("big"), std::ios::binary);
    const std::string block(1 << 20, 'x');
    for (int64_t size = 0; size < kSize; size += static_cast<int64_t>(block.size())) big << block;
  }
  // A round whose copy was over before this thread could ask says nothing.
  bool asked_in_the_middle = false;
  for (int round = 0; round < 50 && !asked_in_the_middle; ++round) {
    Create();
    std::stop_source stop;
    std::atomic<bool> ended = false;
    absl::Status status;
    std::thread refresh([&] {
      status = staging_->Refresh({}, stop.get_token()).status();
      ended = true;
    });
    while (!ended && SizeOf(Copy("big")) == 0) std::this_thread::yield();
    stop.request_stop();
    const int64_t at_request = SizeOf(Copy("big"));
    refresh.join();
    if (status.ok()) continue;

    ASSERT_TRUE(absl::IsCancelled(status)) << status;
    EXPECT_LE(SizeOf(Copy("big")), at_request + kCopiedAfterwards);
    asked_in_the_middle = at_request > 0 && at_request < kSize - kCopiedAfterwards;
  }
  EXPECT_TRUE(asked_in_the_middle) << "every copy was too fast for this test to say anything";
}

TEST_F(StagingLimitsTest, StopRequestEndsTheSendingOfAFileToDisk) {
  folder_.Write("data/acme/a", "a");
  const FileDescriptor file(open(Source("a").c_str(), O_RDONLY | O_CLOEXEC));
  std::stop_source stop;
  const CopyBudget budget(absl::InfiniteDuration(), stop.get_token());

  EXPECT_TRUE(SendToDisk(file.get(), 1, budget).ok());
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(SendToDisk(file.get(), 1, budget)));
}

// Names beneath the copy and the contents of its files; no link is followed.
void Gather(const fs::path& copy, std::set<std::string>* names, std::set<std::string>* contents) {
  for (const auto& entry : fs::recursive_directory_iterator(copy)) {
    names->insert(entry.path().filename());
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    contents->insert(text.str());
  }
}

TEST_F(StagingLimitsTest, NothingFromOutsideGetsInWhileAClientSwapsFoldersAndFilesForLinks) {
  constexpr int kPlaces = 20;
  constexpr int kRoundsMin = 50;
  constexpr int kRoundsMax = 2000;
  folder_.Write("outside/secret", "from outside");
  folder_.Write("outside/file", "from outside");
  folder_.Write("outside/deeper/file", "from outside");
  // Pairs that are exchanged: one is in the tenant's folder, the other waits beside it.
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < kPlaces; ++i) {
    const std::string name = std::to_string(i);
    folder_.Write("data/acme/" + name + "/file", "own");
    folder_.Write("data/acme/" + name + "/deeper/file", "own");
    folder_.Write("data/acme/f" + name, "own");
    fs::create_directories(folder_ / "beside");
    fs::create_symlink(folder_ / "outside", folder_ / ("beside/" + name));
    fs::create_symlink(folder_ / "outside/file", folder_ / ("beside/f" + name));
    pairs.emplace_back(Source(name), folder_ / ("beside/" + name));
    pairs.emplace_back(Source("f" + name), folder_ / ("beside/f" + name));
  }
  std::atomic<bool> done = false;
  std::thread client([&] {
    while (!done) {
      for (const auto& [inside, beside] : pairs) {
        renameat2(AT_FDCWD, inside.c_str(), AT_FDCWD, beside.c_str(), RENAME_EXCHANGE);
      }
    }
  });
  const auto end_client = absl::MakeCleanup([&] {
    done = true;
    client.join();
  });

  Create();
  // Says whether the walk ever came upon a swap.
  bool swapped_under_the_walk = false;
  for (int round = 0; round < kRoundsMin || (!swapped_under_the_walk && round < kRoundsMax);
       ++round) {
    const auto result = staging_->Refresh({}, {});
    ASSERT_TRUE(result.ok()) << result.status();
    for (const SkippedEntry& skipped : staging_->skipped()) {
      swapped_under_the_walk |= skipped.reason == "changed its kind while it was read";
    }
    std::set<std::string> names;
    std::set<std::string> contents;
    Gather(Copy(""), &names, &contents);
    ASSERT_EQ(names.count("secret"), 0u) << "round " << round;
    ASSERT_EQ(contents.count("from outside"), 0u) << "round " << round;
  }
  EXPECT_TRUE(swapped_under_the_walk) << "no swap came at the right moment to say anything";
}

}  // namespace
}  // namespace mtp
