#include "common/process/subprocess.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/atomic_file.h"
#include "common/base/clock.h"
#include "common/base/file_descriptor.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kCancelPoll = absl::Milliseconds(25);

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(
           path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':', absl::SkipEmpty())) {
    std::string candidate = absl::StrCat(folder, "/", name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("the program ", name, " is not installed (not found in PATH)"));
}

// All memory that the child needs is made before fork(): between fork and exec only
// async-signal-safe calls are allowed, since another thread may have held malloc's lock.
class ExecImage {
 public:
  explicit ExecImage(const SubprocessOptions& options) : argv_text_(options.argv) {
    std::map<std::string, std::string> env;
    if (options.inherit_env) {
      for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::pair<std::string, std::string> pair =
            absl::StrSplit(*entry, absl::MaxSplits('=', 1));
        env.insert(pair);
      }
    }
    for (const auto& [name, value] : options.env) env[name] = value;
    for (const auto& [name, value] : env) env_text_.push_back(absl::StrCat(name, "=", value));
    for (std::string& text : argv_text_) argv_.push_back(text.data());
    for (std::string& text : env_text_) env_.push_back(text.data());
    argv_.push_back(nullptr);
    env_.push_back(nullptr);
  }
  char* const* argv() const { return argv_.data(); }
  char* const* env() const { return env_.data(); }

 private:
  std::vector<std::string> argv_text_;
  std::vector<std::string> env_text_;
  std::vector<char*> argv_;
  std::vector<char*> env_;
};

struct ChildFiles {
  int stdin_fd;
  int stdout_fd;
  int stderr_fd;
  int failure_fd;
};

// In the child; never returns. A failure before exec goes through the close-on-exec pipe
// `failure_fd`.
[[noreturn]] void RunChild(const char* program, const ExecImage& image, const char* folder,
                           pid_t parent, const ChildFiles& files) {
  setpgid(0, 0);
  // Dies with its parent even when that is killed with SIGKILL; the check closes the race with a
  // parent that is already gone.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Whatever this process has inherited or opened carelessly stays here: close_range.
  const bool ready = dup2(files.stdin_fd, 0) >= 0 && dup2(files.stdout_fd, 1) >= 0 &&
                     dup2(files.stderr_fd, 2) >= 0 &&
                     syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
                     (*folder == '\0' || chdir(folder) == 0);
  if (ready) execve(program, image.argv(), image.env());
  // Here only when one of them has failed.
  const int error = errno;
  [[maybe_unused]] ssize_t ignored = write(files.failure_fd, &error, sizeof(error));
  _exit(127);
}

// Keeps the last `max` bytes, cutting rarely so that long output costs linear time.
struct Tail {
  std::string text;
  bool truncated = false;
  void Add(absl::string_view bytes, size_t max) {
    text.append(bytes.data(), bytes.size());
    if (text.size() > 2 * max) Cut(max);
  }
  void Cut(size_t max) {
    if (text.size() <= max) return;
    text.erase(0, text.size() - max);
    truncated = true;
  }
};

class Run {
 public:
  Run(const SubprocessOptions& options, pid_t pid, FileDescriptor in, FileDescriptor out,
      FileDescriptor err)
      : options_(options),
        pid_(pid),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)),
        input_(options.stdin_bytes),
        begin_(clock_.Monotonic()) {
    for (int fd : {in_.get(), out_.get(), err_.get()}) fcntl(fd, F_SETFL, O_NONBLOCK);
    if (input_.empty()) in_ = FileDescriptor();
  }

  absl::StatusOr<SubprocessResult> Finish() {
    // The child's end is what ends the run, not the end of its output: a daemon it left behind may
    // hold the pipes.
    while (!Reaped()) {
      if (ended_.ok()) CheckLimits();
      if (!ended_.ok() && clock_.Monotonic() >= kill_at_) kill(-pid_, SIGKILL);
      Transfer();
    }
    Drain();
    if (!ended_.ok()) return ended_;
    SubprocessResult result;
    result.exit_code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
    stdout_.Cut(options_.max_output_bytes);
    stderr_.Cut(options_.max_output_bytes);
    result.stdout_text = std::move(stdout_.text);
    result.stderr_text = std::move(stderr_.text);
    result.stdout_truncated = stdout_.truncated;
    result.stderr_truncated = stderr_.truncated;
    return result;
  }

 private:
  bool Reaped() {
    // Seen first and reaped only after the group was killed: until then its number cannot belong to
    // another group.
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0) {
      return false;
    }
    kill(-pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    return true;
  }

  void CheckLimits() {
    const absl::Duration elapsed = clock_.Monotonic() - begin_;
    if (options_.cancel != nullptr && options_.cancel->cancelled()) {
      ended_ = absl::CancelledError(absl::StrCat(options_.argv.front(), " was cancelled"));
    } else if (elapsed >= options_.deadline) {
      ended_ = absl::DeadlineExceededError(absl::StrCat(
          options_.argv.front(), " did not end within ", absl::FormatDuration(options_.deadline)));
    } else {
      return;
    }
    kill_at_ = clock_.Monotonic() + options_.kill_grace;
    kill(pid_, options_.end_signal);
  }

  // Waits a little for the pipes and moves what is there.
  void Transfer() {
    std::array<pollfd, 4> polled{};
    polled[0] = {in_.get(), POLLOUT, 0};
    polled[1] = {out_.get(), POLLIN, 0};
    polled[2] = {err_.get(), POLLIN, 0};
    polled[3] = {exit_fd_.get(), POLLIN, 0};
    // poll ignores negative descriptors: closed pipes drop out by themselves.
    if (poll(polled.data(), polled.size(),
             static_cast<int>(absl::ToInt64Milliseconds(kCancelPoll))) <= 0)
      return;
    if (polled[0].revents != 0) Feed();
    if (polled[1].revents != 0) Take(out_, /*is_stdout=*/true);
    if (polled[2].revents != 0) Take(err_, /*is_stdout=*/false);
  }

  void Feed() {
    const ssize_t written = write(in_.get(), input_.data(), input_.size());
    if (written > 0) input_.remove_prefix(static_cast<size_t>(written));
    const bool broken = written < 0 && errno != EAGAIN && errno != EINTR;
    if (broken || input_.empty()) in_ = FileDescriptor();
  }

  // False at the end of the pipe or when nothing is there.
  bool Take(FileDescriptor& fd, bool is_stdout) {
    char buffer[64 * 1024];
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
      fd = FileDescriptor();
      return false;
    }
    const absl::string_view bytes(buffer, static_cast<size_t>(got));
    if (is_stdout && options_.on_stdout) {
      options_.on_stdout(bytes);
    } else {
      (is_stdout ? stdout_ : stderr_).Add(bytes, options_.max_output_bytes);
    }
    if (!is_stdout && options_.on_stderr) options_.on_stderr(bytes);
    return true;
  }

  void Drain() {
    // Bounded: a process that left the group could write for ever.
    for (int i = 0; i < 64 && out_.get() >= 0 && Take(out_, true); ++i) {
    }
    for (int i = 0; i < 64 && err_.get() >= 0 && Take(err_, false); ++i) {
    }
  }

  const SubprocessOptions& options_;
  const SystemClock clock_;
  const pid_t pid_;
  FileDescriptor in_;
  FileDescriptor out_;
  FileDescriptor err_;
  // Readable once the child has ended, so that the wait ends at once.
  FileDescriptor exit_fd_{static_cast<int>(syscall(SYS_pidfd_open, pid_, 0))};
  absl::string_view input_;
  const absl::Duration begin_;
  absl::Duration kill_at_ = absl::InfiniteDuration();
  absl::Status ended_;
  Tail stdout_;
  Tail stderr_;
  int status_ = 0;
};

}  // namespace

absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("a subprocess needs a program");
  MTP_ASSIGN_OR_RETURN(const std::string program, FindProgram(options.argv.front()));
  MTP_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  MTP_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  MTP_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  MTP_ASSIGN_OR_RETURN(Pipe failure, MakePipe());
  const ExecImage image(options);
  const pid_t parent = getpid();

  // A write to a child that has ended must be an error, not the end of this process. Blocked for
  // this thread only.
  sigset_t pipe_signal;
  sigset_t before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const auto restore = absl::MakeCleanup([&] {
    const timespec now{};
    while (!sigismember(&before, SIGPIPE) && sigtimedwait(&pipe_signal, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  });

  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, absl::StrCat("start ", program));
  if (pid == 0) {
    RunChild(program.c_str(), image, options.working_folder.c_str(), parent,
             {in.read.get(), out.write.get(), err.write.get(), failure.write.get()});
  }
  setpgid(pid, pid);  // also here: whichever of the two comes first
  in.read = FileDescriptor();
  out.write = FileDescriptor();
  err.write = FileDescriptor();
  failure.write = FileDescriptor();

  int error = 0;
  ssize_t got = 0;
  while ((got = read(failure.read.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
  }
  if (got == sizeof(error)) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return ErrnoStatus(error,
                       absl::StrCat("start ", program, options.working_folder.empty() ? "" : " in ",
                                    options.working_folder));
  }
  return Run(options, pid, std::move(in.write), std::move(out.read), std::move(err.read)).Finish();
}

absl::Status CheckExit(const SubprocessOptions& options, const SubprocessResult& result) {
  if (result.exit_code == 0) return absl::OkStatus();
  constexpr size_t kShown = 1000;
  absl::string_view said = result.stderr_text;
  while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.remove_suffix(1);
  if (said.size() > kShown) said.remove_prefix(said.size() - kShown);
  return absl::FailedPreconditionError(absl::StrCat(
      options.argv.empty() ? "" : options.argv.front(), " ended with code ", result.exit_code, ": ",
      said.empty() ? "it said nothing" : OneLine(said, kShown)));
}

}  // namespace mtp
