#include "agent/backup/beneath.h"

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

// Reads on until `limit` names are there or the folder ends; `*all` tells which.
absl::StatusOr<std::vector<std::string>> ReadNames(int folder, size_t limit, bool* all) {
  // A descriptor of its own: one that is duplicated would share its position.
  FileDescriptor own(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return ErrnoStatus(errno, "open a folder for listing");
  std::unique_ptr<DIR, DirCloser> dir(fdopendir(own.get()));
  if (dir == nullptr) return ErrnoStatus(errno, "list a folder");
  (void)own.Release();
  std::vector<std::string> names;
  *all = false;
  while (names.size() < limit) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr) {
      if (errno != 0) return ErrnoStatus(errno, "list a folder");
      *all = true;
      break;
    }
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

absl::StatusOr<FileDescriptor> OpenFolder(const std::string& path) {
  FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return ErrnoStatus(errno, absl::StrCat("open folder ", path));
  return folder;
}

FileDescriptor OpenBeneath(int folder, const std::string& name, int flags, int* error) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  while (true) {
    const long fd = syscall(SYS_openat2, folder, name.c_str(), &how, sizeof(how));
    if (fd >= 0) return FileDescriptor(static_cast<int>(fd));
    // EAGAIN: something was renamed while the kernel looked (openat2(2)).
    if (errno != EINTR && errno != EAGAIN) break;
  }
  *error = errno;
  return FileDescriptor();
}

bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

absl::StatusOr<std::vector<std::string>> ListFolder(int folder, size_t limit) {
  bool all = false;
  MTP_ASSIGN_OR_RETURN(std::vector<std::string> names, ReadNames(folder, limit + 1, &all));
  if (!all) {
    return absl::ResourceExhaustedError(absl::StrCat("a folder has more than ", limit, " entries"));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::vector<std::string>> SomeNames(int folder, size_t limit) {
  bool all = false;
  return ReadNames(folder, limit, &all);
}

}  // namespace mtp
