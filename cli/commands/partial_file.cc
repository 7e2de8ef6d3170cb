#include "cli/commands/partial_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>

#include "cli/output/failure.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp::cli {
namespace {

constexpr std::array<int, 3> kEnding = {SIGINT, SIGTERM, SIGHUP};

// What a signal's handler may look at; empty when there is nothing to remove.
std::array<char, PATH_MAX> to_remove{};
std::array<struct sigaction, kEnding.size()> before{};

// Only what is safe in a handler. The signal is blocked until it returns, and then does what it
// does by default.
void RemoveAndEnd(int signal) {
  if (to_remove[0] != '\0') unlink(to_remove.data());
  ::signal(signal, SIG_DFL);
  raise(signal);
}

void Arm(const std::string& path) {
  std::copy(path.begin(), path.end(), to_remove.begin());
  to_remove[path.size()] = '\0';
  struct sigaction action {};
  action.sa_handler = RemoveAndEnd;
  for (size_t i = 0; i < kEnding.size(); ++i) {
    sigaction(kEnding[i], nullptr, &before[i]);
    // Ignored ones stay so: nohup.
    if (before[i].sa_handler != SIG_IGN) sigaction(kEnding[i], &action, nullptr);
  }
}

// Holds the signals off while it lives: a file is either not made or known to the handler.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int signal : kEnding) sigaddset(&ending, signal);
    pthread_sigmask(SIG_BLOCK, &ending, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

void Disarm() {
  to_remove[0] = '\0';
  for (size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &before[i], nullptr);
}

absl::Status CheckTarget(const std::string& path, bool replace) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : WithExit(ErrnoStatus(errno, path), ExitCode::kFailed);
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder; name a file in it"));
  }
  if (replace) return absl::OkStatus();
  return WithHint(absl::AlreadyExistsError(absl::StrCat(path, " exists")),
                  "--force replaces it, once the new one is whole");
}

// A name that was taken meanwhile is not taken over.
int RenameToFreeName(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system that cannot do so in one step.
  struct stat info {};
  if (lstat(to.c_str(), &info) == 0) return EEXIST;
  return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

PartialFile::PartialFile(std::string path, bool replace)
    : path_(std::move(path)), partial_(path_ + ".partial"), replace_(replace) {}

absl::StatusOr<std::unique_ptr<PartialFile>> PartialFile::Create(const std::string& path,
                                                                 bool replace) {
  MTP_RETURN_IF_ERROR(CheckTarget(path, replace));
  std::unique_ptr<PartialFile> file(new PartialFile(path, replace));
  if (file->partial_.size() >= to_remove.size()) {
    return absl::InvalidArgumentError("the file's name is too long");
  }
  // What is another run's is not removed.
  file->published_ = true;
  const SignalsBlocked blocked;
  file->fd_ = FileDescriptor(
      open(file->partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file->fd_.valid()) {
    if (errno != EEXIST) return WithExit(ErrnoStatus(errno, file->partial_), ExitCode::kFailed);
    return WithHint(
        absl::AlreadyExistsError(absl::StrCat(
            file->partial_, " exists: another export writes it, or one was ended by force")),
        absl::StrCat("remove it if no export is running: rm ", file->partial_));
  }
  Arm(file->partial_);
  file->published_ = false;
  return file;
}

PartialFile::~PartialFile() {
  if (published_) return;
  unlink(partial_.c_str());
  Disarm();
}

absl::Status PartialFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return WithExit(ErrnoStatus(errno, absl::StrCat("write ", partial_)), ExitCode::kFailed);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Publish() {
  if (fsync(fd_.get()) != 0) {
    return WithExit(ErrnoStatus(errno, absl::StrCat("write ", partial_)), ExitCode::kFailed);
  }
  int error = 0;
  if (!replace_) {
    error = RenameToFreeName(partial_, path_);
  } else if (rename(partial_.c_str(), path_.c_str()) != 0) {
    error = errno;
  }
  if (error == EEXIST) return absl::AlreadyExistsError(absl::StrCat(path_, " exists by now"));
  if (error != 0) return WithExit(ErrnoStatus(error, path_), ExitCode::kFailed);
  published_ = true;
  Disarm();
  return SyncFolder(FolderOf(path_));
}

}  // namespace mtp::cli
