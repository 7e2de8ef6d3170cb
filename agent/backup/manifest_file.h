// Manifests as files: written under another name and published when whole, read line by line.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "agent/backup/manifest.h"
#include "common/base/file_descriptor.h"

namespace mtp {

// A file under a temporary name that goes away again unless it gets its real one.
class PartialFile {
 public:
  // Mode 0600; an older file at `path` is replaced.
  static absl::StatusOr<PartialFile> Create(std::string path);
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  ~PartialFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  absl::Status Sync();
  // `replace` an older file of that name, or refuse with ALREADY_EXISTS. The folder is the caller's
  // to sync.
  absl::Status Publish(const std::string& path, bool replace);

 private:
  PartialFile() = default;
  std::string path_;
  FileDescriptor fd_;
};

// Not thread-safe.
class ManifestWriter {
 public:
  // To a descriptor that stays the caller's.
  explicit ManifestWriter(int fd) : fd_(fd) {}

  absl::Status Add(const std::string& line);
  // After the last line.
  absl::Status Flush();

 private:
  const int fd_;
  std::string buffer_;
};

// One line after another, so that a manifest of any size needs little memory. Not thread-safe.
class ManifestReader {
 public:
  explicit ManifestReader(const std::string& path, ManifestOf what = ManifestOf::kArchive)
      : in_(path), what_(what) {}

  bool IsOpen() const { return in_.is_open(); }

  // The next entry that is in the archive or tree, or the end; what was skipped is passed over. Not
  // to be called after the end. DATA_LOSS when the file is no whole manifest of its kind.
  absl::StatusOr<ManifestLineValue> Next();

 private:
  std::ifstream in_;
  const ManifestOf what_;
  int64_t lines_ = 0;
};

}  // namespace mtp
