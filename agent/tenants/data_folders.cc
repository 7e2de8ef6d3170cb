#include "agent/tenants/data_folders.h"

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "agent/backup/tree.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/names.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kSetAside[] = ".set-aside";
constexpr char kConfigName[] = "openclaw.json";
constexpr char kConfigDraft[] = ".openclaw.json.draft";

FileDescriptor OpenFolder(int parent, const char* name) {
  return FileDescriptor(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Makes `name` in `parent`, durably, and opens it; a link or file of that name is an error.
absl::StatusOr<FileDescriptor> MakeFolder(int parent, const char* name, mode_t mode) {
  const bool is_new = mkdirat(parent, name, mode) == 0;
  if (!is_new && errno != EEXIST) return ErrnoStatus(errno, name);
  if (is_new && fsync(parent) != 0) return ErrnoStatus(errno, name);
  FileDescriptor folder = OpenFolder(parent, name);
  if (!folder.valid()) {
    return ErrnoStatus(errno, absl::StrCat(name, " in the tenant's data is not a folder"));
  }
  return folder;
}

absl::Status WriteWhole(int fd, absl::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, kConfigName);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus(errno, kConfigName);
}

}  // namespace

DataFolders::DataFolders(std::string data_path, int uid, int gid)
    : data_path_(std::move(data_path)), uid_(uid), gid_(gid) {}

bool DataFolders::Exists(const std::string& name) const {
  struct stat info;
  return lstat(absl::StrCat(data_path_, "/", name).c_str(), &info) == 0;
}

absl::Status DataFolders::Make(const std::string& name) const {
  const FileDescriptor data = OpenFolder(AT_FDCWD, data_path_.c_str());
  if (!data.valid()) return ErrnoStatus(errno, data_path_);
  MTP_ASSIGN_OR_RETURN(const FileDescriptor tenant, MakeFolder(data.get(), name.c_str(), 0700));
  for (const char* part : {".openclaw", "workspace"}) {
    MTP_RETURN_IF_ERROR(MakeFolder(tenant.get(), part, 0700).status());
  }
  if (uid_ < 0) return absl::OkStatus();
  return SetOwnerBeneath(data_path_, name, static_cast<uid_t>(uid_), static_cast<gid_t>(gid_));
}

absl::StatusOr<bool> DataFolders::InstallConfig(const std::string& name,
                                                absl::string_view content) const {
  const FileDescriptor data = OpenFolder(AT_FDCWD, data_path_.c_str());
  const FileDescriptor tenant = OpenFolder(data.get(), name.c_str());
  const FileDescriptor folder = OpenFolder(tenant.get(), ".openclaw");
  if (!folder.valid()) return ErrnoStatus(errno, absl::StrCat("data/", name, "/.openclaw"));

  struct stat info;
  if (fstatat(folder.get(), kConfigName, &info, AT_SYMLINK_NOFOLLOW) == 0) return false;

  // A draft of an earlier life is worth nothing.
  unlinkat(folder.get(), kConfigDraft, 0);
  FileDescriptor draft(openat(folder.get(), kConfigDraft,
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!draft.valid()) return ErrnoStatus(errno, kConfigDraft);
  MTP_RETURN_IF_ERROR(WriteWhole(draft.get(), content));
  if (uid_ >= 0 && fchown(draft.get(), static_cast<uid_t>(uid_), static_cast<gid_t>(gid_)) != 0) {
    return ErrnoStatus(errno, kConfigDraft);
  }
  // Never over a file that appeared meanwhile.
  if (renameat2(folder.get(), kConfigDraft, folder.get(), kConfigName, RENAME_NOREPLACE) != 0) {
    const int error = errno;
    unlinkat(folder.get(), kConfigDraft, 0);
    if (error == EEXIST) return false;
    return ErrnoStatus(error, kConfigName);
  }
  if (fsync(folder.get()) != 0) return ErrnoStatus(errno, kConfigName);
  return true;
}

absl::StatusOr<std::string> DataFolders::SetAside(const std::string& name, absl::Time now) const {
  const FileDescriptor data = OpenFolder(AT_FDCWD, data_path_.c_str());
  if (!data.valid()) return ErrnoStatus(errno, data_path_);
  MTP_ASSIGN_OR_RETURN(const FileDescriptor aside, MakeFolder(data.get(), kSetAside, 0700));
  const std::string target =
      absl::StrCat(name, "-", absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()));
  if (renameat2(data.get(), name.c_str(), aside.get(), target.c_str(), RENAME_NOREPLACE) != 0) {
    return ErrnoStatus(errno, absl::StrCat("setting data/", name, " aside"));
  }
  if (fsync(data.get()) != 0 || fsync(aside.get()) != 0) return ErrnoStatus(errno, kSetAside);
  return absl::StrCat(kSetAside, "/", target);
}

absl::Status DataFolders::Remove(const std::string& name) const {
  MTP_RETURN_IF_ERROR(RemoveTreeBeneath(data_path_, name));
  return SyncFolder(data_path_);
}

std::vector<std::string> DataFolders::List() const {
  std::vector<std::string> names;
  DIR* folder = opendir(data_path_.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder)) {
    if (TenantName::Parse(entry->d_name).ok()) names.emplace_back(entry->d_name);
  }
  closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mtp
