#include "common/base/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

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

// Writes the file in a process that dies in the middle of it.
void DieWriting(const std::string& path) {
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGXFSZ, SIG_DFL);
    const rlimit small{4096, 4096};
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_FSIZE, &small) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) _exit(1);
    WriteFileAtomically(path, std::string(8192, 's'), 0600).IgnoreError();
    _exit(2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(AtomicFile, WhatADeathInTheMiddleLeftIsRemovedAndNothingElse) {
  testing::TempFolder folder;
  const std::vector<std::string> others = {".env", "tmp.1.2", ".tmp.1.2", "a.tmp.1", "a.tmp.1.2.x"};
  for (const std::string& name : others) {
    ASSERT_TRUE(WriteFileAtomically(folder / name, "old", 0600).ok());
  }
  std::filesystem::create_directory(folder / "folder.tmp.1.2");
  const auto count = [&] {
    const auto files = std::filesystem::directory_iterator(folder.path());
    return std::distance(begin(files), end(files));
  };
  const auto before = count();
  DieWriting(folder / ".env");
  ASSERT_EQ(count(), before + 1);
  EXPECT_TRUE(RemoveUnfinishedFiles(folder.path()).ok());
  EXPECT_EQ(count(), before);
  for (const std::string& name : others) EXPECT_EQ(*ReadFile(folder / name, 100), "old") << name;
  EXPECT_TRUE(RemoveUnfinishedFiles(folder.path()).ok());
  EXPECT_TRUE(absl::IsNotFound(RemoveUnfinishedFiles(folder / "none")));
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
