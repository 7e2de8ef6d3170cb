#include "agent/backup/tree_walk.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "agent/backup/beneath.h"
#include "agent/backup/entry.h"
#include "common/base/atomic_file.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Each level holds one descriptor; deeper nesting is no honest client's.
constexpr int kMaxDepth = 128;
constexpr size_t kMaxChangedNamed = 100;
constexpr size_t kPiece = 256 * 1024;
// A file that claims far more than it has on disk would keep the reader busy with zeros for hours.
constexpr int64_t kSparseSuspicious = int64_t{16} << 30;
constexpr int64_t kSparseRatio = 8;
constexpr int64_t kReportBytes = 8 << 20;
constexpr int64_t kReportFiles = 64;

bool SameMoment(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool IsSuspiciouslySparse(const struct stat& info) {
  const int64_t on_disk = static_cast<int64_t>(info.st_blocks) * 512;
  return info.st_size > kSparseSuspicious && info.st_size / kSparseRatio > on_disk;
}

}  // namespace

TreeWalk::TreeWalk(const ArchiveRequest& request, TarWriter* tar,
                   std::function<absl::Status(const std::string& line)> manifest_line,
                   ArchiveProgressSink progress, std::stop_token stop)
    : request_(request),
      tar_(tar),
      manifest_line_(std::move(manifest_line)),
      progress_(std::move(progress)),
      budget_(absl::InfiniteDuration(), std::move(stop), request.floor) {}

absl::Status TreeWalk::Add(int root, const std::string& name) {
  name_ = name;
  struct stat info {};
  if (fstatat(root, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("archive ", request_.root, "/", name));
  }
  MTP_RETURN_IF_ERROR(Visit({root, name, name, 0}));
  Report(/*always=*/true);
  return absl::OkStatus();
}

absl::Status TreeWalk::Visit(const Place& place) {
  MTP_RETURN_IF_ERROR(budget_.Check());
  if (totals_.entries + totals_.skipped >= request_.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are more than ", request_.max_entries, " files and folders"));
  }
  struct stat info {};
  if (fstatat(place.folder, place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return SkipOrFail(place, errno);
  }
  if (place.depth > 0 && request_.exclude &&
      request_.exclude(std::string_view(place.path).substr(name_.size() + 1),
                       S_ISDIR(info.st_mode))) {
    return Skip(place, "excluded");
  }
  Report(/*always=*/false);
  if (S_ISDIR(info.st_mode)) {
    return VisitFolder(place, EntryOf(place.path, EntryType::kFolder, info), info.st_mtim.tv_nsec);
  }
  if (S_ISLNK(info.st_mode)) return VisitSymlink(place);
  if (S_ISREG(info.st_mode)) return VisitFile(place);
  return Skip(place, SpecialKind(info.st_mode));
}

absl::Status TreeWalk::VisitFolder(const Place& place, const ManifestEntry& entry, long mtime_ns) {
  if (place.depth >= kMaxDepth) {
    return Skip(place, absl::StrCat("nested deeper than ", kMaxDepth, " folders"));
  }
  int error = 0;
  const FileDescriptor folder =
      OpenBeneath(place.folder, place.name, O_RDONLY | O_DIRECTORY, &error);
  if (!folder.valid()) return SkipOrFail(place, error);
  MTP_ASSIGN_OR_RETURN(
      const std::vector<std::string> names,
      ListFolder(folder.get(), static_cast<size_t>(std::max<int64_t>(1, request_.max_entries))));
  MTP_RETURN_IF_ERROR(tar_->Begin(entry, mtime_ns));
  MTP_RETURN_IF_ERROR(Record(entry));
  for (const std::string& name : names) {
    MTP_RETURN_IF_ERROR(
        Visit({folder.get(), name, absl::StrCat(place.path, "/", name), place.depth + 1}));
  }
  return absl::OkStatus();
}

absl::Status TreeWalk::VisitSymlink(const Place& place) {
  int error = 0;
  const FileDescriptor link = OpenBeneath(place.folder, place.name, O_PATH, &error);
  if (!link.valid()) return SkipOrFail(place, error);
  struct stat info {};
  if (fstat(link.get(), &info) != 0) return SkipOrFail(place, errno);
  if (!S_ISLNK(info.st_mode)) return Skip(place, "changed its kind while it was read");
  std::array<char, PATH_MAX> target;
  const ssize_t size = readlinkat(link.get(), "", target.data(), target.size());
  if (size < 0) return SkipOrFail(place, errno);
  ManifestEntry entry = EntryOf(place.path, EntryType::kSymlink, info);
  entry.target.assign(target.data(), static_cast<size_t>(size));
  MTP_RETURN_IF_ERROR(tar_->Begin(entry, info.st_mtim.tv_nsec));
  return Record(entry);
}

absl::Status TreeWalk::VisitFile(const Place& place) {
  int error = 0;
  // Non-blocking: a fifo that took the file's place meanwhile must not stop the walk.
  const FileDescriptor file = OpenBeneath(place.folder, place.name, O_RDONLY | O_NONBLOCK, &error);
  if (!file.valid()) return SkipOrFail(place, error);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return SkipOrFail(place, errno);
  if (!S_ISREG(info.st_mode)) return Skip(place, "changed its kind while it was read");
  if (IsSuspiciouslySparse(info)) {
    return Skip(place, absl::StrCat("a sparse file that claims ", info.st_size, " bytes"));
  }
  ManifestEntry entry = EntryOf(place.path, EntryType::kFile, info);
  if (info.st_nlink > 1) {
    const auto [first, is_new] =
        first_names_.emplace(std::make_pair(info.st_dev, info.st_ino), place.path);
    if (!is_new) {
      entry.type = EntryType::kHardlink;
      entry.target = first->second;
      MTP_RETURN_IF_ERROR(tar_->Begin(entry, info.st_mtim.tv_nsec));
      ++totals_.files;
      return Record(entry);
    }
  }
  entry.size = info.st_size;
  MTP_RETURN_IF_ERROR(tar_->Begin(entry, info.st_mtim.tv_nsec));
  MTP_RETURN_IF_ERROR(CopyContent(file.get(), info, &entry));
  ++totals_.files;
  totals_.content_bytes += entry.size;
  return Record(entry);
}

// A tar entry says its size first, so exactly that many bytes follow: what grew is cut, what shrank
// or cannot be read is filled with zeros, and both are marked as changed.
absl::Status TreeWalk::CopyContent(int file, const struct stat& info, ManifestEntry* entry) {
  posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  std::string piece(kPiece, '\0');
  Sha256 hash;
  int64_t left = entry->size;
  bool ended = false;
  while (left > 0) {
    MTP_RETURN_IF_ERROR(budget_.Check());
    const size_t wanted = static_cast<size_t>(std::min<int64_t>(left, kPiece));
    size_t size = wanted;
    if (!ended) {
      const ssize_t got = read(file, piece.data(), wanted);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", entry->path));
      ended = got == 0;
      size = static_cast<size_t>(got);
    }
    if (ended) {
      entry->changed = true;
      size = wanted;
      piece.assign(kPiece, '\0');
    }
    hash.Update(piece.data(), size);
    MTP_RETURN_IF_ERROR(tar_->Write(std::string_view(piece).substr(0, size)));
    left -= static_cast<int64_t>(size);
    if (left > 0 && totals_.content_bytes + entry->size - left - reported_bytes_ > kReportBytes) {
      reported_bytes_ = totals_.content_bytes + entry->size - left;
      if (progress_) progress_({totals_.files, reported_bytes_, false});
    }
  }
  struct stat after {};
  if (fstat(file, &after) != 0 || after.st_size != info.st_size ||
      !SameMoment(after.st_mtim, info.st_mtim)) {
    entry->changed = true;
  }
  entry->sha256 = hash.Finish();
  return absl::OkStatus();
}

absl::Status TreeWalk::Skip(const Place& place, const std::string& reason) {
  ManifestEntry entry;
  entry.path = place.path;
  entry.type = EntryType::kSkipped;
  entry.reason = reason;
  return Record(entry);
}

absl::Status TreeWalk::SkipOrFail(const Place& place, int error) {
  switch (error) {
    case ENOENT:
      return Skip(place, "vanished while the folder was read");
    case ELOOP:
    case ENOTDIR:
    case ENXIO:
      return Skip(place, "changed its kind while it was read");
    case EXDEV:
      return Skip(place, "on another file system");
    default:
      return ErrnoStatus(error, absl::StrCat("read ", place.path));
  }
}

absl::Status TreeWalk::Record(const ManifestEntry& entry) {
  if (entry.type == EntryType::kSkipped) {
    ++totals_.skipped;
  } else {
    ++totals_.entries;
  }
  if (entry.changed && changed_.size() < kMaxChangedNamed) changed_.push_back(entry.path);
  return manifest_line_(ManifestLine(entry));
}

void TreeWalk::Report(bool always) {
  if (!progress_) return;
  if (!always && totals_.files - reported_files_ < kReportFiles) return;
  reported_files_ = totals_.files;
  reported_bytes_ = totals_.content_bytes;
  progress_({totals_.files, totals_.content_bytes, false});
}

}  // namespace mtp
