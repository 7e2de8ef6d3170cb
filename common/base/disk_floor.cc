#include "common/base/disk_floor.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "common/base/atomic_file.h"

namespace mtp {

absl::StatusOr<DiskSpace> SpaceOf(const std::string& path) {
  struct statvfs stats {};
  while (statvfs(path.c_str(), &stats) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, absl::StrCat("free space of ", path));
  }
  const auto block = static_cast<int64_t>(stats.f_frsize);
  return DiskSpace{static_cast<int64_t>(stats.f_blocks) * block,
                   static_cast<int64_t>(stats.f_bavail) * block};
}

DiskFloor::DiskFloor(std::string path, Read read)
    : path_(std::move(path)), read_(std::move(read)) {}

absl::Status DiskFloor::Check() const {
  const auto space = read_(path_);
  if (!space.ok()) return absl::OkStatus();
  const int64_t kept = std::min(kMostBytes, space->total_bytes / kPart);
  if (space->free_bytes >= kept) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("this host's disk has ", space->free_bytes >> 20, " MiB free, and ", kept >> 20,
                   " MiB are left to what the tenants write; free some of it first"));
}

bool DiskFloor::Has(const std::string& other) const {
  struct stat here {
  }, there{};
  if (stat(path_.c_str(), &here) != 0) return false;
  for (std::filesystem::path path = other; !path.empty(); path = path.parent_path()) {
    if (stat(path.c_str(), &there) == 0) return here.st_dev == there.st_dev;
    if (path == path.parent_path()) break;
  }
  return false;
}

}  // namespace mtp
