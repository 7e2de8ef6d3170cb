#include "agent/tenants/restore_folders.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/backup/beneath.h"
#include "agent/backup/staging.h"
#include "agent/backup/tree.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kSnapshots[] = ".snapshots";
constexpr char kRestores[] = ".restores";
constexpr char kQuarantine[] = ".quarantine";
// %E4Y, not %Y: that one would read the month and day as part of the year.
constexpr char kTimeFormat[] = "%E4Y%m%dT%H%M%E3SZ";
constexpr size_t kMaxKept = 100'000;

std::string IdentityOfFolder(const struct stat& info) {
  return absl::StrCat(info.st_dev, ":", info.st_ino);
}

absl::StatusOr<FileDescriptor> OpenIn(int folder, const std::string& name) {
  int error = 0;
  FileDescriptor opened = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY, &error);
  if (!opened.valid()) return ErrnoStatus(error, absl::StrCat("open ", name));
  return opened;
}

// When what is kept under that name was put there; the distant future for other names, which are
// left alone.
absl::Time KeptSince(const std::string& name) {
  const size_t dash = name.rfind('-');
  absl::Time since;
  std::string error;
  if (dash == std::string::npos ||
      !absl::ParseTime(kTimeFormat, name.substr(dash + 1), absl::UTCTimeZone(), &since, &error)) {
    return absl::InfiniteFuture();
  }
  return since;
}

}  // namespace

RestoreFolders::RestoreFolders(std::string data_path, int uid, int gid)
    : data_path_(std::move(data_path)), uid_(uid), gid_(gid) {}

absl::StatusOr<std::string> RestoreFolders::MakeHome(const char* home) const {
  std::string path = absl::StrCat(data_path_, "/", home);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make ", path));
  }
  return path;
}

absl::StatusOr<std::string> RestoreFolders::SnapshotsPath() const { return MakeHome(kSnapshots); }

absl::StatusOr<std::string> RestoreFolders::Make(const std::string& name) const {
  MTP_ASSIGN_OR_RETURN(const std::string home, MakeHome(kRestores));
  MTP_RETURN_IF_ERROR(RemoveTreeBeneath(home, name));
  std::string path = absl::StrCat(home, "/", name);
  if (mkdir(path.c_str(), 0700) != 0) return ErrnoStatus(errno, absl::StrCat("make ", path));
  return path;
}

std::string RestoreFolders::Path(const std::string& name) const {
  return absl::StrCat(data_path_, "/", kRestores, "/", name);
}

absl::Status RestoreFolders::Remove(const std::string& name) const {
  const std::string home = absl::StrCat(data_path_, "/", kRestores);
  if (access(home.c_str(), F_OK) != 0) return absl::OkStatus();
  return RemoveTreeBeneath(home, name);
}

absl::Status RestoreFolders::TakeOwnership(const std::string& name) const {
  if (uid_ < 0) return absl::OkStatus();
  return SetOwnerBeneath(absl::StrCat(data_path_, "/", kRestores, "/", name), kBackupData,
                         static_cast<uid_t>(uid_), static_cast<gid_t>(gid_));
}

absl::Status RestoreFolders::Sync(const std::string& name) const {
  const std::string path = Path(name);
  MTP_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFolder(path));
  if (syncfs(folder.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path));
  return absl::OkStatus();
}

absl::StatusOr<std::string> RestoreFolders::Unpacked(const std::string& name) const {
  const std::string path = absl::StrCat(data_path_, "/", kRestores, "/", name, "/", kBackupData);
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(info.st_mode)) {
    return absl::DataLossError("the backup holds no folder named data");
  }
  return IdentityOfFolder(info);
}

bool RestoreFolders::IsInPlace(const std::string& name, const std::string& unpacked) const {
  struct stat info;
  return lstat(absl::StrCat(data_path_, "/", name).c_str(), &info) == 0 &&
         IdentityOfFolder(info) == unpacked;
}

std::string RestoreFolders::KeptPath(const std::string& name, absl::Time now) {
  return absl::StrCat(kQuarantine, "/", name, "-",
                      absl::FormatTime(kTimeFormat, now, absl::UTCTimeZone()));
}

absl::StatusOr<bool> RestoreFolders::PutInPlace(const std::string& name,
                                                const std::string& kept) const {
  MTP_RETURN_IF_ERROR(MakeHome(kQuarantine).status());
  MTP_ASSIGN_OR_RETURN(const FileDescriptor data, OpenFolder(data_path_));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor quarantine, OpenIn(data.get(), kQuarantine));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor restores, OpenIn(data.get(), kRestores));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor unpacked, OpenIn(restores.get(), name));
  const auto failed = [&](int error) {
    return ErrnoStatus(error, absl::StrCat("put the backup in the place of data/", name));
  };
  struct stat info;
  const bool replaces = fstatat(data.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
  if (!replaces && errno != ENOENT) return failed(errno);
  // It goes to the place in quarantine first, and there the two change places.
  const std::string& first = replaces ? kept : name;
  if (renameat2(unpacked.get(), kBackupData, data.get(), first.c_str(), RENAME_NOREPLACE) != 0) {
    return failed(errno);
  }
  if (replaces &&
      renameat2(data.get(), kept.c_str(), data.get(), name.c_str(), RENAME_EXCHANGE) != 0) {
    const int error = errno;
    renameat2(data.get(), kept.c_str(), unpacked.get(), kBackupData, RENAME_NOREPLACE);
    return failed(error);
  }
  if (fsync(data.get()) != 0 || fsync(quarantine.get()) != 0) return failed(errno);
  return replaces;
}

absl::Status RestoreFolders::Sweep() const {
  for (const char* home : {kSnapshots, kRestores}) {
    const std::string path = absl::StrCat(data_path_, "/", home);
    if (access(path.c_str(), F_OK) != 0) continue;
    MTP_RETURN_IF_ERROR(SweepStaging(path));
  }
  return absl::OkStatus();
}

absl::Status RestoreFolders::SweepQuarantine(absl::Time now) const {
  const std::string path = absl::StrCat(data_path_, "/", kQuarantine);
  if (access(path.c_str(), F_OK) != 0) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFolder(path));
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder.get(), kMaxKept));
  for (const std::string& name : names) {
    if (now < KeptSince(name) + kQuarantineLifetime) continue;
    MTP_RETURN_IF_ERROR(RemoveTreeBeneath(folder.get(), name));
  }
  return absl::OkStatus();
}

}  // namespace mtp
