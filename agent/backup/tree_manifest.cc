#include "agent/backup/tree_manifest.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>

#include "agent/backup/beneath.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kBuffer = 256 * 1024;
constexpr char kPartialSuffix[] = ".partial";

// The manifest under its other name; gone again unless it is published.
class PartialManifest {
 public:
  explicit PartialManifest(const std::string& output)
      : output_(output), path_(output + kPartialSuffix) {
    unlink(path_.c_str());
    fd_ = FileDescriptor(
        open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    error_ = fd_.valid() ? 0 : errno;
  }
  ~PartialManifest() {
    if (!published_) unlink(path_.c_str());
  }
  PartialManifest(const PartialManifest&) = delete;
  PartialManifest& operator=(const PartialManifest&) = delete;

  absl::Status Add(const std::string& line) {
    if (error_ != 0) return ErrnoStatus(error_, absl::StrCat("create ", path_));
    buffer_ += line;
    buffer_ += '\n';
    return buffer_.size() < kBuffer ? absl::OkStatus() : Flush();
  }

  absl::Status Publish() {
    MTP_RETURN_IF_ERROR(Flush());
    if (fsync(fd_.get()) != 0) return ErrnoStatus(errno, absl::StrCat("sync ", path_));
    if (rename(path_.c_str(), output_.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("name ", output_));
    }
    published_ = true;
    return SyncFolder(FolderOf(output_));
  }

 private:
  absl::Status Flush() {
    size_t done = 0;
    while (done < buffer_.size()) {
      const ssize_t put = write(fd_.get(), buffer_.data() + done, buffer_.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return ErrnoStatus(errno, absl::StrCat("write ", path_));
      done += static_cast<size_t>(put);
    }
    buffer_.clear();
    return absl::OkStatus();
  }

  const std::string output_;
  const std::string path_;
  FileDescriptor fd_;
  int error_ = 0;
  bool published_ = false;
  std::string buffer_;
};

// Reads the entries of a manifest that are in the tree, in their order.
class ManifestReader {
 public:
  explicit ManifestReader(const std::string& path) : in_(path, std::ios::binary) {}

  absl::Status Begin(const std::string& path) {
    if (!in_) return absl::NotFoundError(absl::StrCat("there is no manifest ", path));
    MTP_ASSIGN_OR_RETURN(const ManifestLineValue head, Line());
    if (head.kind == ManifestLineValue::Kind::kHead) return absl::OkStatus();
    return absl::DataLossError("the manifest does not begin with its format");
  }

  // None after the last, when the manifest was whole.
  absl::StatusOr<std::optional<ManifestEntry>> Next() {
    while (!ended_) {
      MTP_ASSIGN_OR_RETURN(ManifestLineValue value, Line());
      if (value.kind == ManifestLineValue::Kind::kHead) break;
      if (value.kind == ManifestLineValue::Kind::kEnd) {
        ended_ = true;
        if (value.end.entries != entries_) break;
        return std::optional<ManifestEntry>();
      }
      if (value.entry.type == EntryType::kSkipped) continue;
      ++entries_;
      return std::optional<ManifestEntry>(std::move(value.entry));
    }
    if (ended_ && in_) return absl::DataLossError("the manifest lacks lines");
    return absl::DataLossError("the manifest has a line where none may be");
  }

 private:
  absl::StatusOr<ManifestLineValue> Line() {
    std::string line;
    if (!std::getline(in_, line)) return absl::DataLossError("the manifest ends too early");
    return ParseManifestLine(line, ManifestOf::kTree);
  }

  std::ifstream in_;
  int64_t entries_ = 0;
  bool ended_ = false;
};

// Whether `a` comes before `b` in a walk: a slash before every other byte, and the top first.
bool ComesBefore(const std::string& a, const std::string& b) {
  if (a == "." || b == ".") return a == "." && b != ".";
  const auto rank = [](char byte) { return byte == '/' ? 0 : static_cast<unsigned char>(byte); };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [rank](char x, char y) { return rank(x) < rank(y); });
}

absl::Status Differs(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, " ", what));
}

absl::Status CompareEntry(const ManifestEntry& found, const ManifestEntry& wanted) {
  const std::string& path = wanted.path;
  if (found.type != wanted.type) return Differs(path, "is of another type");
  if (found.size != wanted.size) {
    return Differs(path, absl::StrCat("has ", found.size, " bytes instead of ", wanted.size));
  }
  if (found.sha256 != wanted.sha256) return Differs(path, "has another content");
  if (found.target != wanted.target) return Differs(path, "links to another place");
  if (found.mode != wanted.mode) {
    return Differs(path,
                   absl::StrFormat("has the mode %04o instead of %04o", found.mode, wanted.mode));
  }
  if (found.uid != wanted.uid || found.gid != wanted.gid) {
    return Differs(path, absl::StrCat("belongs to ", found.uid, ":", found.gid, " instead of ",
                                      wanted.uid, ":", wanted.gid));
  }
  if (path != "." && (found.mtime_s != wanted.mtime_s || found.mtime_ns != wanted.mtime_ns)) {
    return Differs(path, "has another modification time");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ManifestEnd> WriteTreeManifest(const std::string& folder,
                                              const std::vector<SkippedEntry>& skipped,
                                              const TreeScanLimits& limits,
                                              const std::string& output, std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(folder));
  PartialManifest manifest(output);
  MTP_RETURN_IF_ERROR(manifest.Add(ManifestHeadLine(ManifestOf::kTree)));
  ManifestEnd end;
  const auto take = [&](const ManifestEntry& entry) -> absl::Status {
    if (entry.type == EntryType::kSkipped) {
      ++end.skipped;
    } else {
      ++end.entries;
    }
    if (entry.type == EntryType::kFile || entry.type == EntryType::kHardlink) ++end.files;
    end.content_bytes += entry.size;
    return manifest.Add(ManifestLine(entry));
  };
  MTP_RETURN_IF_ERROR(ScanTree(root.get(), limits, take, std::move(stop)));
  for (const SkippedEntry& entry : skipped) {
    ManifestEntry line;
    line.path = entry.path;
    line.type = EntryType::kSkipped;
    line.reason = entry.reason;
    MTP_RETURN_IF_ERROR(take(line));
  }
  MTP_RETURN_IF_ERROR(manifest.Add(ManifestLine(end)));
  MTP_RETURN_IF_ERROR(manifest.Publish());
  return end;
}

absl::Status CompareWithTree(const std::string& folder, const std::string& manifest,
                             const TreeScanLimits& limits, std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(folder));
  ManifestReader reader(manifest);
  MTP_RETURN_IF_ERROR(reader.Begin(manifest));
  const auto compare = [&reader](const ManifestEntry& found) -> absl::Status {
    MTP_ASSIGN_OR_RETURN(const std::optional<ManifestEntry> wanted, reader.Next());
    if (!wanted || ComesBefore(found.path, wanted->path)) {
      return Differs(found.path, "is not in the manifest");
    }
    if (found.path != wanted->path) return Differs(wanted->path, "is missing");
    return CompareEntry(found, *wanted);
  };
  MTP_RETURN_IF_ERROR(ScanTree(root.get(), limits, compare, std::move(stop)));
  MTP_ASSIGN_OR_RETURN(const std::optional<ManifestEntry> left, reader.Next());
  return left ? Differs(left->path, "is missing") : absl::OkStatus();
}

}  // namespace mtp
