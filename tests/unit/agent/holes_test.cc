#include "agent/backup/holes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using testing::TempFolder;

constexpr int64_t kMiB = 1 << 20;

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

struct stat Look(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0);
  return info;
}

int64_t OnDisk(const std::string& path) { return Look(path).st_blocks * 512; }

class DigHolesTest : public ::testing::Test {
 protected:
  // With zeros written out, as restic leaves a sparse file.
  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  absl::Status Dig() { return DigHoles(folder_.path(), {}, kMiB); }

  TempFolder folder_;
};

TEST_F(DigHolesTest, GivesRunsOfZerosBackAndKeepsEveryByte) {
  std::string content(8 * kMiB + 12345, '\0');
  content[0] = 'a';
  content.replace(3 * kMiB + 7, 100, std::string(100, 'b'));
  content.back() = 'c';
  const std::string path = Write("sparse", content);
  ASSERT_GT(OnDisk(path), 8 * kMiB);
  ASSERT_TRUE(Dig().ok());
  EXPECT_LT(OnDisk(path), kMiB);
  EXPECT_TRUE(Read(path) == content);
}

TEST_F(DigHolesTest, KeepsModeOwnerAndTime) {
  const std::string path = Write("sparse", std::string(2 * kMiB, '\0'));
  chmod(path.c_str(), 0400);
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(30));
  const struct stat before = Look(path);
  ASSERT_TRUE(Dig().ok());
  const struct stat after = Look(path);
  EXPECT_LT(OnDisk(path), kMiB);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

TEST_F(DigHolesTest, LeavesSmallFilesAndFilesWithoutZerosAlone) {
  const std::string small = Write("small", std::string(kMiB - 1, '\0'));
  const std::string full = Write("full", std::string(2 * kMiB, 'x'));
  ASSERT_TRUE(Dig().ok());
  EXPECT_GE(OnDisk(small), kMiB - 4096);
  EXPECT_GE(OnDisk(full), 2 * kMiB);
}

TEST_F(DigHolesTest, FollowsNoLink) {
  TempFolder outside;
  std::ofstream(outside / "file", std::ios::binary) << std::string(2 * kMiB, '\0');
  fs::create_symlink(outside / "file", folder_ / "to-file");
  fs::create_directory_symlink(outside.path(), folder_ / "to-folder");
  ASSERT_TRUE(Dig().ok());
  EXPECT_GE(OnDisk(outside / "file"), 2 * kMiB);
}

TEST_F(DigHolesTest, EndsWhenItIsStopped) {
  Write("sparse", std::string(2 * kMiB, '\0'));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(DigHoles(folder_.path(), stop.get_token(), kMiB).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace mtp
