// The child that checks databases: what it may do, and what its parent makes of one that
// misbehaves.
#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/backup/database_child.h"
#include "agent/backup/database_line.h"
#include "common/base/file_descriptor.h"
#include "tests/unit/agent/databases_fixture.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using testing::DatabaseCheck;
using ::testing::HasSubstr;

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The only child of a process's thread; 0 without one.
pid_t ChildOf(pid_t process, pid_t thread) {
  pid_t child = 0;
  std::ifstream(absl::StrCat("/proc/", process, "/task/", thread, "/children")) >> child;
  return child;
}

struct ChildView {
  std::map<std::string, std::string> status;  // Of /proc/<pid>/status, without spaces.
  struct stat root {};
  std::map<std::string, std::string> namespaces;
  std::vector<std::string> open_files;  // Device and inode.
};

std::string Identity(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? absl::StrCat(info.st_dev, ":", info.st_ino) : "";
}

ChildView LookAt(pid_t pid) {
  ChildView view;
  const std::string proc = absl::StrCat("/proc/", pid, "/");
  for (const absl::string_view line : absl::StrSplit(ReadAll(proc + "status"), '\n')) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(line, absl::MaxSplits(":\t", 1));
    view.status[pair.first] = pair.second;
  }
  EXPECT_EQ(stat((proc + "root").c_str(), &view.root), 0);
  for (const char* name : {"mnt", "net", "pid", "ipc", "uts"}) {
    view.namespaces[name] = fs::read_symlink(proc + "ns/" + name);
  }
  for (const auto& entry : fs::directory_iterator(proc + "fd")) {
    view.open_files.push_back(Identity(entry.path()));
  }
  return view;
}

class CheckAsRoot : public DatabaseCheck {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can take the child's privileges away";
  }

  // A check that says more than a pipe holds, so that it waits while nobody reads.
  SubprocessOptions MakeLongCheck() {
    const std::string folder(200, 'f');
    Make(Live("a.db"), "DELETE", 1);
    fs::create_directories(Copy(folder));
    for (int i = 0; i < 600; ++i) {
      fs::copy_file(Live("a.db"), Copy(absl::StrCat(folder, "/", i, std::string(200, 'n'))));
    }
    HandOver();
    return DatabaseChildCommand(top_ / "copy", options_);
  }

  // Runs `look` with the two processes of the child, while it waits.
  absl::StatusOr<SubprocessResult> Watch(const std::function<void(pid_t, pid_t)>& look) {
    SubprocessOptions command = MakeLongCheck();
    bool looked = false;
    command.on_stdout = [&](absl::string_view) {
      if (std::exchange(looked, true)) return;
      const pid_t outer = ChildOf(getpid(), static_cast<pid_t>(syscall(SYS_gettid)));
      look(outer, ChildOf(outer, outer));
    };
    auto result = RunSubprocess(command);
    EXPECT_TRUE(looked);
    return result;
  }
};

TEST_F(CheckAsRoot, IsDoneWithoutPrivilegesInsideTheFolder) {
  const int leak = open("/etc/passwd", O_RDONLY);  // NOLINT: without O_CLOEXEC on purpose.
  const auto close_leak = absl::MakeCleanup([leak] { close(leak); });
  std::vector<gid_t> groups(static_cast<size_t>(getgroups(0, nullptr)));
  ASSERT_GE(getgroups(static_cast<int>(groups.size()), groups.data()), 0);
  const gid_t root_group = 0;
  ASSERT_EQ(setgroups(1, &root_group), 0);
  const auto put_back = absl::MakeCleanup([&] { setgroups(groups.size(), groups.data()); });
  std::vector<ChildView> views;

  const auto result = Watch([&](pid_t outer, pid_t inner) {
    ASSERT_GT(outer, 0);
    ASSERT_GT(inner, 0);
    views = {LookAt(outer), LookAt(inner)};
  });

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->stderr_text;
  ASSERT_EQ(views.size(), 2u);
  struct stat copy {};
  ASSERT_EQ(stat((top_ / "copy").c_str(), &copy), 0);
  for (const ChildView& view : views) {
    EXPECT_EQ(view.status.at("Uid"), "1000\t1000\t1000\t1000");
    EXPECT_EQ(view.status.at("Gid"), "1000\t1000\t1000\t1000");
    EXPECT_EQ(std::string(absl::StripAsciiWhitespace(view.status.at("Groups"))), "");
    for (const char* set : {"CapPrm", "CapEff", "CapAmb"}) {
      EXPECT_EQ(view.status.at(set), "0000000000000000") << set;
    }
    EXPECT_EQ(view.status.at("NoNewPrivs"), "1");
    EXPECT_EQ(view.root.st_dev, copy.st_dev);
    EXPECT_EQ(view.root.st_ino, copy.st_ino);
    EXPECT_THAT(view.open_files, ::testing::Not(::testing::Contains(Identity("/etc/passwd"))));
  }
  for (const auto& [name, space] : LookAt(getpid()).namespaces) {
    EXPECT_NE(views[1].namespaces.at(name), space) << name;
  }
}

// Where mounts are shared, as systemd makes them, the child's would appear here too.
TEST_F(CheckAsRoot, LeavesNoMountBehind) {
  Make(Copy("a.db"), "DELETE", 1);
  const auto check_in_shared_mounts = [&] {
    if (unshare(CLONE_NEWNS) != 0) _exit(2);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(3);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0) _exit(4);
    const std::string before = ReadAll("/proc/self/mountinfo");
    const auto report = TryCheck();
    if (!report.ok() || report->checked != 1) _exit(5);
    _exit(ReadAll("/proc/self/mountinfo") == before ? 0 : 1);
  };
  EXPECT_EXIT(check_in_shared_mounts(), ::testing::ExitedWithCode(0), "");
}

// In a process that will be killed: writes the pid of the check's inner process to `tell` while
// the check waits, and leaves a process behind, so that its pipe stays open.
void CheckUntilKilled(const SubprocessOptions& options, int tell) {
  SubprocessOptions command = options;
  command.on_stdout = [tell](absl::string_view) {
    const pid_t outer = ChildOf(getpid(), static_cast<pid_t>(syscall(SYS_gettid)));
    pid_t pids[2] = {ChildOf(outer, outer), fork()};
    if (pids[1] != 0) [[maybe_unused]]
      const ssize_t told = write(tell, pids, sizeof(pids));
    while (true) pause();
  };
  RunSubprocess(command).IgnoreError();
  _exit(1);
}

TEST_F(CheckAsRoot, EndsWithTheAgent) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  const SubprocessOptions command = MakeLongCheck();
  const pid_t agent = fork();
  if (agent == 0) CheckUntilKilled(command, write_end.get());
  write_end.Reset();
  pid_t pids[2] = {0, 0};
  ASSERT_EQ(read(read_end.get(), pids, sizeof(pids)), static_cast<ssize_t>(sizeof(pids)));
  ASSERT_GT(pids[0], 0);
  const FileDescriptor inner(static_cast<int>(syscall(SYS_pidfd_open, pids[0], 0)));
  ASSERT_TRUE(inner.valid());

  kill(agent, SIGKILL);
  waitpid(agent, nullptr, 0);

  pollfd ended{inner.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  kill(pids[1], SIGKILL);
  kill(pids[0], SIGKILL);
}

TEST_F(CheckAsRoot, TellsOfTheEndOfTheInnerProcess) {
  const auto result = Watch([&](pid_t, pid_t inner) { kill(inner, SIGKILL); });

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
}

class Misbehaving : public DatabaseCheck {
 protected:
  // The status of a check by a shell script.
  absl::Status Run(const std::string& script, const CancelToken* cancel = nullptr) {
    top_.Write("program", "#!/bin/sh\n" + script + "\n");
    fs::permissions(top_ / "program", fs::perms::owner_all);
    options_.program = top_ / "program";
    return TryCheck(cancel).status();
  }
};

constexpr char kOne[] = R"(echo '{"path":"61","problem":""}')";

TEST_F(Misbehaving, ChildThatEndsAsItShouldIsBelieved) {
  EXPECT_TRUE(Run(absl::StrCat(kOne, R"(; echo '{"end":1}')")).ok());
}

TEST_F(Misbehaving, ChildThatDiesIsAnError) {
  const absl::Status killed = Run(absl::StrCat(kOne, "; kill -9 $$"));
  EXPECT_EQ(killed.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(killed.message()), HasSubstr("signal 9"));

  const absl::Status failed = Run("printf 'no\\033 \\nroom' >&2; exit 3");
  EXPECT_EQ(failed.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(failed.message()), HasSubstr("no? "));
}

TEST_F(Misbehaving, ChildThatStopsEarlyIsAnError) {
  EXPECT_EQ(Run("exit 0").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Run(kOne).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Run(absl::StrCat(kOne, R"(; printf '{"end":1}')")).code(), absl::StatusCode::kInternal);
}

TEST_F(Misbehaving, ChildThatSaysTooMuchIsAnError) {
  EXPECT_EQ(Run("head -c 30000000 /dev/zero; exit 0").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Run(absl::StrCat(kOne, R"(; echo '{"end":2}')")).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Run(absl::StrCat(R"(echo '{"end":0}'; )", kOne)).code(), absl::StatusCode::kInternal);
}

TEST_F(Misbehaving, ChildThatHangsIsEnded) {
  options_.deadline = absl::Milliseconds(300);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Run("sleep 600")));
}

TEST_F(Misbehaving, ChildIsEndedOnRequest) {
  CancelToken cancel;
  cancel.Cancel();
  EXPECT_TRUE(absl::IsCancelled(Run("sleep 600", &cancel)));
}

TEST(DatabaseLine, ComesBackAsItWas) {
  DatabaseLine line{.path = "a\n\xff/b", .problem = "two\nlines \xff"};
  std::string text = FormatDatabaseLine(line);
  ASSERT_EQ(text.find('\n'), text.size() - 1);
  text.pop_back();

  const auto parsed = ParseDatabaseLine(text);

  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->path, line.path);
  EXPECT_EQ(parsed->problem, "two lines ?");
}

TEST(DatabaseLine, RefusesWhatTheChildNeverSays) {
  for (const char* text :
       {"", "[]", "{}", "{\"end\":-1}", "{\"end\":1.5}", "{\"end\":4294967296}",
        "{\"end\":1,\"x\":1}", "{\"path\":\"61\"}", "{\"path\":\"6\",\"problem\":\"\"}",
        "{\"path\":\"zz\",\"problem\":\"\"}", "{\"path\":\"\",\"problem\":\"\"}",
        "{\"path\":\"2f61\",\"problem\":\"\"}", "{\"path\":\"2e2e2f61\",\"problem\":\"\"}",
        "{\"path\":\"6100\",\"problem\":\"\"}", "{\"path\":\"61\",\"problem\":1}"}) {
    EXPECT_FALSE(ParseDatabaseLine(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mtp
