#include "agent/backup/tree_scan.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "agent/backup/beneath.h"
#include "agent/backup/entry.h"
#include "agent/backup/file_copy.h"
#include "common/base/atomic_file.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kBatchEntries = 1024;
// Below this a second thread costs more than it saves.
constexpr int64_t kWorthAThread = 1 << 20;
constexpr size_t kPiece = 256 * 1024;

absl::Status Changed(const std::string& path) {
  return absl::AbortedError(absl::StrCat(path, " changed while the tree was read"));
}

// Holes are hashed as the zeros they read as, without being read.
absl::Status HashZeros(int64_t size, const CopyBudget& budget, Sha256* hash) {
  static constexpr std::array<char, kPiece> kZeros{};
  for (; size > 0; size -= static_cast<int64_t>(kPiece)) {
    MTP_RETURN_IF_ERROR(budget.Check());
    hash->Update(kZeros.data(), static_cast<size_t>(std::min<int64_t>(size, kPiece)));
  }
  return absl::OkStatus();
}

absl::Status HashFile(int folder, const CopyBudget& budget, ManifestEntry* entry) {
  int error = 0;
  const FileDescriptor file = OpenBeneath(folder, entry->path, O_RDONLY | O_NONBLOCK, &error);
  if (!file.valid()) return ErrnoStatus(error, absl::StrCat("open ", entry->path));
  struct stat info {};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != entry->size) {
    return Changed(entry->path);
  }
  Sha256 hash;
  std::vector<char> piece(kPiece);
  for (int64_t at = 0; at < entry->size;) {
    MTP_ASSIGN_OR_RETURN(const Extent extent, NextExtent(file.get(), at, entry->size));
    MTP_RETURN_IF_ERROR(HashZeros(extent.begin - at, budget, &hash));
    for (at = extent.begin; at < extent.end;) {
      MTP_RETURN_IF_ERROR(budget.Check());
      const size_t wanted = static_cast<size_t>(std::min<int64_t>(extent.end - at, kPiece));
      const ssize_t got = pread(file.get(), piece.data(), wanted, at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, absl::StrCat("read ", entry->path));
      if (got == 0) return Changed(entry->path);
      hash.Update(piece.data(), static_cast<size_t>(got));
      at += got;
    }
  }
  entry->sha256 = hash.Finish();
  return absl::OkStatus();
}

class Scan {
 public:
  Scan(int folder, const TreeScanLimits& limits,
       const std::function<absl::Status(const ManifestEntry& entry)>& take,
       const std::stop_token& stop)
      : root_(folder), limits_(limits), take_(take), budget_(absl::InfiniteDuration(), stop) {}

  absl::Status Run() {
    struct stat info {};
    if (fstat(root_, &info) != 0) return ErrnoStatus(errno, "look at the folder");
    device_ = info.st_dev;
    path_ = ".";
    MTP_RETURN_IF_ERROR(Add(EntryType::kFolder, info));
    path_.clear();
    MTP_RETURN_IF_ERROR(VisitContents(root_, 0));
    return Flush();
  }

 private:
  absl::Status VisitContents(int folder, int depth) {
    if (depth > limits_.max_depth) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path_, " is nested deeper than ", limits_.max_depth, " folders"));
    }
    MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                         ListFolder(folder, static_cast<size_t>(limits_.max_entries)));
    const size_t above = path_.size();
    for (const std::string& name : names) {
      if (above > 0) path_ += '/';
      path_ += name;
      MTP_RETURN_IF_ERROR(Visit(folder, name, depth));
      path_.resize(above);
    }
    return absl::OkStatus();
  }

  absl::Status Visit(int folder, const std::string& name, int depth) {
    MTP_RETURN_IF_ERROR(budget_.Check());
    struct stat info {};
    if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Changed(path_);
    if (info.st_dev != device_) {
      return absl::FailedPreconditionError(absl::StrCat(path_, " is on another file system"));
    }
    if (S_ISREG(info.st_mode)) return Add(EntryType::kFile, info);
    if (S_ISLNK(info.st_mode)) return AddSymlink(folder, name, info);
    if (!S_ISDIR(info.st_mode)) return Add(EntryType::kSkipped, info);
    int error = 0;
    const FileDescriptor inner = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY, &error);
    if (!inner.valid()) return ErrnoStatus(error, absl::StrCat("open folder ", path_));
    MTP_RETURN_IF_ERROR(Add(EntryType::kFolder, info));
    return VisitContents(inner.get(), depth + 1);
  }

  absl::Status AddSymlink(int folder, const std::string& name, const struct stat& info) {
    std::array<char, PATH_MAX> target;
    const ssize_t size = readlinkat(folder, name.c_str(), target.data(), target.size());
    if (size < 0) return Changed(path_);
    MTP_RETURN_IF_ERROR(Add(EntryType::kSymlink, info, /*flush=*/false));
    batch_.back().target.assign(target.data(), static_cast<size_t>(size));
    return FlushWhenFull();
  }

  absl::Status Add(EntryType type, const struct stat& info, bool flush = true) {
    if (++entries_ > limits_.max_entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are more than ", limits_.max_entries, " files and folders"));
    }
    ManifestEntry entry = EntryOf(path_, type, info);
    entry.mtime_ns = info.st_mtim.tv_nsec;
    if (type == EntryType::kSkipped) entry.reason = SpecialKind(info.st_mode);
    if (type == EntryType::kFile) {
      entry.size = info.st_size;
      if (info.st_nlink > 1) {
        const auto [first, is_new] = first_names_.emplace(info.st_ino, path_);
        if (!is_new) {
          entry.type = EntryType::kHardlink;
          entry.target = first->second;
          entry.size = 0;
        }
      }
    }
    batch_.push_back(std::move(entry));
    return flush ? FlushWhenFull() : absl::OkStatus();
  }

  absl::Status FlushWhenFull() {
    return batch_.size() < kBatchEntries ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    MTP_RETURN_IF_ERROR(HashBatch());
    for (const ManifestEntry& entry : batch_) MTP_RETURN_IF_ERROR(take_(entry));
    batch_.clear();
    return absl::OkStatus();
  }

  // Both threads take the largest file that is left.
  absl::Status HashBatch() {
    std::vector<ManifestEntry*> files;
    int64_t bytes = 0;
    for (ManifestEntry& entry : batch_) {
      if (entry.type != EntryType::kFile) continue;
      files.push_back(&entry);
      bytes += entry.size;
    }
    std::stable_sort(
        files.begin(), files.end(),
        [](const ManifestEntry* a, const ManifestEntry* b) { return a->size > b->size; });
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    const auto work = [&] {
      for (size_t i = next++; i < files.size() && !failed; i = next++) {
        absl::Status status = HashFile(root_, budget_, files[i]);
        if (status.ok()) continue;
        failed = true;
        return status;
      }
      return absl::OkStatus();
    };
    absl::Status of_other;
    std::thread other;
    if (bytes >= kWorthAThread && files.size() > 1) {
      other = std::thread([&] { of_other = work(); });
    }
    const absl::Status own = work();
    if (other.joinable()) other.join();
    return own.ok() ? of_other : own;
  }

  const int root_;
  const TreeScanLimits& limits_;
  const std::function<absl::Status(const ManifestEntry& entry)>& take_;
  const CopyBudget budget_;
  std::vector<ManifestEntry> batch_;
  absl::flat_hash_map<uint64_t, std::string> first_names_;
  std::string path_;
  dev_t device_ = 0;
  int64_t entries_ = 0;
};

}  // namespace

absl::Status ScanTree(int folder, const TreeScanLimits& limits,
                      const std::function<absl::Status(const ManifestEntry& entry)>& take,
                      std::stop_token stop) {
  return Scan(folder, limits, take, stop).Run();
}

}  // namespace mtp
