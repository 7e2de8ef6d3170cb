#include "common/base/atomic_file.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/file_descriptor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::string_view kTemporary = ".tmp.";

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, absl::StrCat("write ", path));
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteTemporary(const std::string& path, absl::string_view content, mode_t mode) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return ErrnoStatus(errno, absl::StrCat("create ", path));
  MTP_RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
  // fchmod, since the mode given to open() is narrowed by the umask.
  if (fchmod(fd.get(), mode) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

// Whether the name ends as those of temporary files do.
bool IsTemporary(absl::string_view name) {
  const size_t begin = name.rfind(kTemporary);
  if (begin == absl::string_view::npos || begin == 0) return false;
  const std::pair<absl::string_view, absl::string_view> numbers =
      absl::StrSplit(name.substr(begin + kTemporary.size()), absl::MaxSplits('.', 1));
  uint64_t ignored = 0;
  return absl::SimpleAtoi(numbers.first, &ignored) && absl::SimpleAtoi(numbers.second, &ignored);
}

}  // namespace

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status SyncFolder(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode) {
  // The number keeps two threads apart; a leftover of a crashed process with this id is
  // overwritten.
  static std::atomic<uint64_t> number{0};
  const std::string temporary = absl::StrCat(path, kTemporary, getpid(), ".", number.fetch_add(1));
  unlink(temporary.c_str());
  absl::Status status = WriteTemporary(temporary, content, mode);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("rename ", temporary, " to ", path));
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(FolderOf(path));
}

absl::Status RemoveUnfinishedFiles(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!IsTemporary(entry.path().filename().string()) || !entry.is_regular_file(error)) continue;
    if (unlink(entry.path().c_str()) != 0 && errno != ENOENT) {
      return ErrnoStatus(errno, absl::StrCat("remove ", entry.path().string()));
    }
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("read ", folder));
  return SyncFolder(folder);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, absl::StrCat("open ", path));
  std::string content;
  char buffer[16 * 1024];
  // Many files hold secrets; what is read ends up in memory that its owner wipes.
  const auto wipe = absl::MakeCleanup([&buffer] { explicit_bzero(buffer, sizeof buffer); });
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", path));
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", path, ": it is larger than ", max_bytes, " bytes"));
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status MakeFolders(const std::string& path, mode_t mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (mkdir(folder.c_str(), mode) == 0) {
      // The umask narrows mkdir's mode.
      if (chmod(folder.c_str(), mode) != 0)
        return ErrnoStatus(errno, absl::StrCat("chmod ", folder));
      MTP_RETURN_IF_ERROR(SyncFolder(FolderOf(folder)));
    } else if (errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("make folder ", folder));
    }
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("look at ", path));
  if (!S_ISDIR(info.st_mode)) return ErrnoStatus(ENOTDIR, absl::StrCat("make folder ", path));
  return absl::OkStatus();
}

absl::Status ErrnoStatus(int error, absl::string_view context) {
  // strerrordesc_np is thread-safe, unlike strerror.
  const char* description = strerrordesc_np(error);
  const std::string message =
      absl::StrCat(context, ": ", description != nullptr ? description : "unknown error");
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace mtp
