#include "common/process/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "common/base/clock.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

SubprocessOptions Shell(const std::string& script) {
  SubprocessOptions options;
  options.argv = {"sh", "-c", script};
  options.env = {{"PATH", "/usr/bin:/bin"}};
  return options;
}

SubprocessResult Must(const SubprocessOptions& options) {
  auto result = RunSubprocess(options);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : SubprocessResult();
}

TEST(Subprocess, GivesBackExitCodeAndBothOutputs) {
  const SubprocessResult result = Must(Shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.stdout_text, "out\n");
  EXPECT_EQ(result.stderr_text, "err\n");
}

TEST(Subprocess, PassesArgumentsWithoutAShell) {
  SubprocessOptions options;
  options.argv = {"printf", "%s|", "a b", "$HOME", "*", "'\"\\"};
  EXPECT_EQ(Must(options).stdout_text, "a b|$HOME|*|'\"\\|");
}

TEST(Subprocess, InheritsNoVariablesUnlessAskedTo) {
  setenv("MTP_SUBPROCESS_TEST", "inherited", 1);
  SubprocessOptions options;
  options.argv = {"/usr/bin/env"};
  options.env = {{"A", "1=2"}};
  EXPECT_EQ(Must(options).stdout_text, "A=1=2\n");
  options.inherit_env = true;
  EXPECT_THAT(Must(options).stdout_text, HasSubstr("MTP_SUBPROCESS_TEST=inherited\n"));
  options.env["MTP_SUBPROCESS_TEST"] = "own";
  EXPECT_THAT(Must(options).stdout_text, HasSubstr("MTP_SUBPROCESS_TEST=own\n"));
}

TEST(Subprocess, RunsInTheFolderItIsGiven) {
  testing::TempFolder folder;
  SubprocessOptions options = Shell("pwd -P");
  options.working_folder = folder.path();
  EXPECT_EQ(Must(options).stdout_text, folder.path() + "\n");
}

TEST(Subprocess, FeedsStandardInputHoweverLongItIs) {
  const std::string input(3 << 20, 'x');
  SubprocessOptions options = Shell("wc -c");
  options.stdin_bytes = input;
  EXPECT_EQ(Must(options).stdout_text, "3145728\n");
}

TEST(Subprocess, ReadsOutputWhileItFeedsInput) {
  const std::string input(3 << 20, 'x');
  SubprocessOptions options = Shell("cat");
  options.stdin_bytes = input;
  options.max_output_bytes = 8 << 20;
  EXPECT_EQ(Must(options).stdout_text.size(), input.size());
}

TEST(Subprocess, ClosesStandardInputWhenThereIsNone) {
  EXPECT_EQ(Must(Shell("cat; echo end")).stdout_text, "end\n");
}

TEST(Subprocess, SurvivesAProgramThatDoesNotReadItsInput) {
  const std::string input(3 << 20, 'x');
  SubprocessOptions options = Shell("exit 0");
  options.stdin_bytes = input;
  EXPECT_EQ(Must(options).exit_code, 0);
}

TEST(Subprocess, KeepsTheEndOfLongOutput) {
  SubprocessOptions options = Shell("head -c 500000 /dev/zero | tr '\\0' a; echo end");
  options.max_output_bytes = 1000;
  const SubprocessResult result = Must(options);
  EXPECT_TRUE(result.stdout_truncated);
  EXPECT_EQ(result.stdout_text.size(), 1000U);
  EXPECT_THAT(result.stdout_text, ::testing::EndsWith("aaaend\n"));
  EXPECT_FALSE(result.stderr_truncated);
}

TEST(Subprocess, HandsOutputOnAsItComes) {
  std::string seen;
  SubprocessOptions options = Shell("echo one; echo two; echo err >&2");
  options.on_stdout = [&seen](absl::string_view text) { seen.append(text.data(), text.size()); };
  const SubprocessResult result = Must(options);
  EXPECT_EQ(seen, "one\ntwo\n");
  EXPECT_EQ(result.stdout_text, "");
  EXPECT_EQ(result.stderr_text, "err\n");
}

TEST(Subprocess, EndsAProgramThatIsOverItsDeadline) {
  SubprocessOptions options = Shell("sleep 100");
  options.deadline = absl::Milliseconds(100);
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunSubprocess(options).status()));
}

TEST(Subprocess, KillsAProgramThatIgnoresTheRequestToEnd) {
  SubprocessOptions options = Shell("trap '' TERM; while :; do sleep 0.05; done");
  options.deadline = absl::Milliseconds(100);
  options.kill_grace = absl::Milliseconds(200);
  const SystemClock clock;
  const absl::Duration begin = clock.Monotonic();
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunSubprocess(options).status()));
  EXPECT_LT(clock.Monotonic() - begin, absl::Seconds(20));
}

TEST(Subprocess, AsksForTheEndWithTheSignalThatTheProgramKnows) {
  const testing::TempFolder folder;
  CancelToken cancel;
  SubprocessOptions options = Shell(
      "trap 'echo cleaned >ended; exit 0' INT; trap 'exit 1' TERM; echo begun; while :; do sleep "
      "0.01; done");
  options.working_folder = folder.path();
  options.cancel = &cancel;
  options.end_signal = SIGINT;
  options.kill_grace = absl::Seconds(20);
  options.on_stdout = [&cancel](absl::string_view) { cancel.Cancel(); };
  EXPECT_TRUE(absl::IsCancelled(RunSubprocess(options).status()));
  std::string ended;
  std::getline(std::ifstream(folder.path() + "/ended"), ended);
  EXPECT_EQ(ended, "cleaned");
}

TEST(Subprocess, IsCancelledFromAnotherThread) {
  CancelToken cancel;
  SubprocessOptions options = Shell("echo begun; sleep 100");
  options.cancel = &cancel;
  options.on_stdout = [&cancel](absl::string_view) { cancel.Cancel(); };
  EXPECT_TRUE(absl::IsCancelled(RunSubprocess(options).status()));
}

TEST(Subprocess, LeavesNoGrandchildBehind) {
  // The grandchild holds the output open and would run for long.
  const SubprocessResult result = Must(Shell("sleep 100 & echo $!"));
  const pid_t grandchild = std::stoi(result.stdout_text);
  // Killed, and taken by init in its own time.
  const SystemClock clock;
  const absl::Duration begin = clock.Monotonic();
  const auto runs = [grandchild] {
    std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
    std::string text;
    std::getline(stat, text);
    return !text.empty() && text.find(") Z ") == std::string::npos;
  };
  while (runs() && clock.Monotonic() - begin < absl::Seconds(20)) std::this_thread::yield();
  EXPECT_FALSE(runs());
}

TEST(Subprocess, SaysWhenTheProgramOrFolderDoesNotExist) {
  SubprocessOptions options;
  options.argv = {"mtp-no-such-program"};
  EXPECT_TRUE(absl::IsNotFound(RunSubprocess(options).status()));
  options.argv = {"/no/such/program"};
  EXPECT_TRUE(absl::IsNotFound(RunSubprocess(options).status()));
  options = Shell("true");
  options.working_folder = "/no/such/folder";
  EXPECT_TRUE(absl::IsNotFound(RunSubprocess(options).status()));
  options.argv = {};
  EXPECT_TRUE(absl::IsInvalidArgument(RunSubprocess(options).status()));
}

TEST(Subprocess, ShowsASignalAsShellsDo) {
  EXPECT_EQ(Must(Shell("kill -SEGV $$")).exit_code, 128 + SIGSEGV);
}

TEST(Subprocess, GivesTheChildDefaultSignals) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  const SubprocessResult result = Must(Shell("kill -TERM $$; echo still here"));
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  EXPECT_EQ(result.exit_code, 128 + SIGTERM);
}

TEST(Subprocess, PassesNoOtherDescriptorOn) {
  const SubprocessResult result = Must(Shell("ls /proc/self/fd"));
  // 0, 1, 2 and the one with which ls reads the folder.
  EXPECT_EQ(result.stdout_text, "0\n1\n2\n3\n");
}

TEST(Subprocess, ManyAtOnceDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::vector<std::string> outputs(8);
  for (size_t i = 0; i < outputs.size(); ++i) {
    threads.emplace_back([i, &outputs] {
      for (int round = 0; round < 5; ++round) outputs[i] += Must(Shell("echo x")).stdout_text;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(outputs, ::testing::Each("x\nx\nx\nx\nx\n"));
}

TEST(Subprocess, ExplainsAFailureInOneLine) {
  const SubprocessOptions options = Shell("printf 'first\\nsecond\\033[0m' >&2; exit 4");
  const absl::Status status = CheckExit(options, Must(options));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(), "sh ended with code 4: first\\x0asecond\\x1b[0m");
  EXPECT_TRUE(CheckExit(options, SubprocessResult()).ok());
}

}  // namespace
}  // namespace mtp
