#include "common/base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(AtomicFile, ReplacesContentAndModeAndLeavesNothingElse) {
  testing::TempFolder folder;
  const std::string path = folder / "file";
  const mode_t before = umask(077);
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0644).ok());
  EXPECT_EQ(ModeOf(path), 0644U);
  ASSERT_TRUE(WriteFileAtomically(path, std::string("t\0wo", 4), 0600).ok());
  umask(before);
  EXPECT_EQ(ModeOf(path), 0600U);
  EXPECT_EQ(*ReadFile(path, 100), std::string("t\0wo", 4));
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(AtomicFile, KeepsTheOldFileWhenTheNewOneCannotBeWritten) {
  testing::TempFolder folder;
  const std::string path = folder / "file";
  std::filesystem::create_directory(path);
  EXPECT_FALSE(WriteFileAtomically(path, "x", 0600).ok());
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_TRUE(absl::IsNotFound(WriteFileAtomically(folder / "no/file", "x", 0600)));
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(ReadFile, IsBounded) {
  testing::TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "file", std::string(100, 'x'), 0600).ok());
  EXPECT_TRUE(ReadFile(folder / "file", 100).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(folder / "file", 99).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadFile(folder / "none", 99).status()));
  // A file whose size is not known beforehand.
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile("/dev/zero", 1 << 20).status()));
}

TEST(MakeFolders, MakesParentsAndLeavesExistingOnesAlone) {
  testing::TempFolder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  const mode_t before = umask(077);
  ASSERT_TRUE(MakeFolders(folder / "a/b/c", 0750).ok());
  umask(before);
  EXPECT_EQ(ModeOf(folder / "a"), 0750U);
  EXPECT_EQ(ModeOf(folder / "a/b/c"), 0750U);
  EXPECT_TRUE(MakeFolders(folder / "a", 0700).ok());
  EXPECT_EQ(ModeOf(folder / "a"), 0750U);
  EXPECT_EQ(ModeOf(folder.path()), 0755U);
}

TEST(MakeFolders, RefusesAFileInItsPlace) {
  testing::TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "file", "x", 0600).ok());
  EXPECT_FALSE(MakeFolders(folder / "file", 0700).ok());
  EXPECT_FALSE(MakeFolders(folder / "file/below", 0700).ok());
}

}  // namespace
}  // namespace mtp
