// What is on the disk by the time that it counts, so that a power cut takes nothing of it back. The
// program is linked so that these calls of the C library come here first; tests/e2e/power.sh cuts
// the power.
#include <absl/strings/str_cat.h>
#include <errno.h>
#include <gmock/gmock.h>
#include <limits.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/unit/agent/backup_fixture.h"

namespace {

// Called before the named call with the path of the file that it is about.
std::function<void(const char* call, const std::string& path)> before_call;
// What syncfs fails with, unless it is 0.
int fault_of_syncfs = 0;

std::string PathOf(int fd) {
  std::string path(PATH_MAX, '\0');
  const ssize_t size =
      readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path.data(), path.size());
  path.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return path;
}

void Tell(const char* call, int fd) {
  if (before_call) before_call(call, PathOf(fd));
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names.
extern "C" {
int __real_syncfs(int fd);
int __real_fsync(int fd);
int __real_renameat2(int from, const char* old_name, int to, const char* name, unsigned flags);

int __wrap_syncfs(int fd) {
  Tell("syncfs", fd);
  if (fault_of_syncfs != 0) {
    errno = fault_of_syncfs;
    return -1;
  }
  return __real_syncfs(fd);
}
int __wrap_fsync(int fd) {
  Tell("fsync", fd);
  return __real_fsync(fd);
}
int __wrap_renameat2(int from, const char* old_name, int to, const char* name, unsigned flags) {
  Tell("renameat2", from);
  return __real_renameat2(from, old_name, to, name, flags);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace mtp {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PowerCutTest : public BackupFixture {
 protected:
  PowerCutTest() {
    Provision("acme");
    Write("acme/workspace/notes", "of the backup");
    backup_ = Snapshot("acme", "b1");
    Write("acme/workspace/notes", "newer");
  }
  ~PowerCutTest() override {
    before_call = nullptr;
    fault_of_syncfs = 0;
  }

  v1::BackupReference backup_;
};

TEST_F(PowerCutTest, ABackupIsOnTheDiskBeforeItTakesAPlace) {
  std::vector<std::string> calls;
  std::string synced;
  bool is_running = false;
  before_call = [&](const std::string& call, const std::string& path) {
    if (path != DataPath(".restores/acme")) return;
    calls.push_back(call);
    if (call != "syncfs") return;
    synced = Read(".restores/acme/data/workspace/notes");
    is_running = IsRunning("mtp-acme");
  };
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_THAT(calls, ElementsAre("syncfs", "renameat2"));
  EXPECT_EQ(synced, "of the backup");
  EXPECT_TRUE(is_running) << "a slow disk is waited for before the tenant is stopped";
}

TEST_F(PowerCutTest, ABackupThatTheDiskDoesNotTakeChangesNothing) {
  for (const int fault : {ENOSPC, EIO}) {
    fault_of_syncfs = fault;
    const v1::Action action =
        agent_->Finish(RestoreRequest(absl::StrCat("o/restore", fault), "acme", backup_));
    EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED) << action.ShortDebugString();
    EXPECT_THAT(action.error().message(), HasSubstr("sync "));
    EXPECT_EQ(Read("acme/workspace/notes"), "newer");
    EXPECT_TRUE(IsRunning("mtp-acme"));
    EXPECT_FALSE(std::filesystem::exists(DataPath(".restores/acme")));
  }
}

TEST_F(PowerCutTest, ThePlaceItTookIsOnTheDiskBeforeTheRestoreEnds) {
  std::vector<std::string> notes;
  before_call = [&](const std::string& call, const std::string& path) {
    if (call == "fsync" && path == agent_->project.DataPath())
      notes.push_back(Read("acme/workspace/notes"));
  };
  const v1::Action action = agent_->Finish(RestoreRequest("o/restore", "acme", backup_));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_THAT(notes, Contains("of the backup"));
}

TEST_F(PowerCutTest, WhatARemovalDeletedStaysDeleted) {
  std::vector<std::string> notes;
  before_call = [&](const std::string& call, const std::string& path) {
    if (call == "fsync" && path == agent_->project.DataPath())
      notes.push_back(Read("acme/workspace/notes"));
  };
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  const v1::Action action = agent_->Finish(remove);
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_THAT(notes, Contains(HasSubstr("No such file")));
}

}  // namespace
}  // namespace mtp
