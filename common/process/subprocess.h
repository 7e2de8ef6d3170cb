// Other programs, run without a shell: bounded in time and output, and never outliving their
// caller.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mtp {

// Asks a running subprocess to end. Thread-safe; Cancel may come before, during or after the run.
class CancelToken {
 public:
  CancelToken() = default;
  virtual ~CancelToken() = default;
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void Cancel() { cancelled_.store(true); }
  // Asked several times in 100 ms while something runs.
  virtual bool cancelled() const { return cancelled_.load(); }

 private:
  std::atomic<bool> cancelled_{false};
};

struct SubprocessOptions {
  // Program and arguments; a program without a slash is looked up in this process's PATH. Never a
  // secret: arguments are visible in `ps`.
  std::vector<std::string> argv;
  // Variables of the child. Nothing is inherited unless `inherit_env` is set; these win over
  // inherited ones.
  std::map<std::string, std::string> env;
  bool inherit_env = false;
  // Folder to run in; empty: this process's.
  std::string working_folder;
  // Bytes given on standard input, then it is closed.
  absl::string_view stdin_bytes;
  // Killed after this long (DEADLINE_EXCEEDED).
  absl::Duration deadline = absl::Seconds(60);
  // The program itself gets `end_signal` first, and all of its group SIGKILL after this long.
  absl::Duration kill_grace = absl::Seconds(2);
  int end_signal = SIGTERM;
  // Kept of standard output and of standard error, each: the last so many bytes, the rest is read
  // and dropped.
  size_t max_output_bytes = 1 << 20;
  // May be null; must outlive the run. Seen within 100 ms (CANCELLED).
  const CancelToken* cancel = nullptr;
  // Called with standard output as it comes, on the caller's thread; then nothing of it is kept.
  // May be null.
  std::function<void(absl::string_view)> on_stdout;
  // Called with standard error as it comes, on the caller's thread; it is kept all the same. May be
  // null.
  std::function<void(absl::string_view)> on_stderr;
};

struct SubprocessResult {
  // 0 to 255; 128 + N when signal N ended it.
  int exit_code = 0;
  std::string stdout_text;
  std::string stderr_text;
  bool stdout_truncated = false;
  bool stderr_truncated = false;
};

// Runs the program to its end, in a process group of its own that is killed as a whole when the run
// ends, so that no grandchild stays. The child dies with the thread that started it. A non-zero
// exit is a result, not an error. NOT_FOUND when the program or folder does not exist,
// PERMISSION_DENIED when it may not be run, DEADLINE_EXCEEDED, CANCELLED. Blocks; call it on a
// pool. Thread-safe.
absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessOptions& options);

// OK for exit code 0; else FAILED_PRECONDITION with the program's name, the exit code and the end
// of its standard error in one line.
absl::Status CheckExit(const SubprocessOptions& options, const SubprocessResult& result);

}  // namespace mtp
