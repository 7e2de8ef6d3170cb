#include "agent/backup/manifest_file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kBuffer = 256 * 1024;
// A path may have 4096 bytes, base64 and JSON included far below this.
constexpr size_t kMaxLine = 64 * 1024;

}  // namespace

absl::StatusOr<PartialFile> PartialFile::Create(std::string path) {
  PartialFile file;
  file.path_ = std::move(path);
  unlink(file.path_.c_str());
  file.fd_ = FileDescriptor(
      open(file.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.fd_.valid()) return ErrnoStatus(errno, absl::StrCat("create ", file.path_));
  return file;
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}

PartialFile::~PartialFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status PartialFile::Sync() {
  if (fsync(fd_.get()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("sync ", path_));
}

absl::Status PartialFile::Publish(const std::string& path, bool replace) {
  const unsigned flags = replace ? 0 : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), flags) != 0) {
    return ErrnoStatus(errno, absl::StrCat("name ", path));
  }
  path_.clear();
  return absl::OkStatus();
}

absl::Status ManifestWriter::Add(const std::string& line) {
  buffer_ += line;
  buffer_ += '\n';
  return buffer_.size() < kBuffer ? absl::OkStatus() : Flush();
}

absl::Status ManifestWriter::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t written = write(fd_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "write the manifest");
    left.remove_prefix(static_cast<size_t>(written));
  }
  buffer_.clear();
  return absl::OkStatus();
}

absl::StatusOr<ManifestLineValue> ManifestReader::Next() {
  while (true) {
    std::string line;
    if (!std::getline(in_, line)) return absl::DataLossError("the manifest has no end");
    if (line.size() > kMaxLine) return absl::DataLossError("the manifest has a line too long");
    MTP_ASSIGN_OR_RETURN(ManifestLineValue value, ParseManifestLine(line, what_));
    const bool is_head = value.kind == ManifestLineValue::Kind::kHead;
    if (is_head != (lines_++ == 0)) {
      return absl::DataLossError("the manifest does not begin with its head line");
    }
    const bool skipped =
        value.kind == ManifestLineValue::Kind::kEntry && value.entry.type == EntryType::kSkipped;
    if (!is_head && !skipped) return value;
  }
}

}  // namespace mtp
