// A tenant's backup: one plain `.tar.gz` that `tar -xzf` restores by hand, and a manifest beside
// it.
//
// The manifest, `<archive>.manifest.json`, has one JSON object per line, in the archive's order:
//   {"path":"acme/.openclaw/openclaw.json","type":"file","mode":"0600","uid":1000,"gid":1000,"size":17,
//    "mtime":1764000000,"sha256":"…"}
// `type` is file, dir, symlink (with `target`), hardlink (with `target`, the path that came first)
// or skipped (with `reason`: a socket, a fifo, a device, an excluded path, a file that vanished).
// Paths that are not valid UTF-8 are given as `path_base64` instead. The first line names the
// format: {"format":"mtp-archive/1", …}.
//
// The folder belongs to a client and may be hostile and may change meanwhile: it is walked by
// descriptors only, no symbolic link is followed, and nothing outside is ever read. Archive the
// data of a stopped tenant: SQLite databases that are being written cannot be copied file by file.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace mtp {

class DiskFloor;

struct ArchiveRequest {
  // Folder that `names` are in, `<project>/data`; itself trusted.
  std::string root;
  // Direct children of `root` to archive, such as `acme`; each must exist.
  std::vector<std::string> names;
  // Absolute path of the archive, ending in `.tar.gz`. Must not exist. Its folder must exist,
  // outside what is archived.
  std::string output;
  // Whether a path (relative to its name: `.openclaw/cache`) is left out, with all beneath it.
  std::function<bool(std::string_view relative_path, bool is_folder)> exclude;
  // At most so many entries; RESOURCE_EXHAUSTED beyond.
  int64_t max_entries = 5'000'000;
  // Of the file system that has `output`; may be null, and must outlive the call.
  const DiskFloor* floor = nullptr;
};

struct ArchiveResult {
  std::string sha256;  // Of the archive, hexadecimal.
  int64_t bytes = 0;   // Of the archive.
  int64_t files = 0;   // Regular files in it, hard links included.
  int64_t content_bytes = 0;
  int64_t skipped = 0;  // Entries left out, excluded ones included; the manifest names each.
  std::vector<std::string> changed;  // Files that changed while they were read (at most 100 named).
  std::string manifest;              // Path of the manifest.
};

struct ArchiveProgress {
  int64_t files = 0;
  int64_t content_bytes = 0;
  bool verifying = false;
};
using ArchiveProgressSink = std::function<void(const ArchiveProgress& progress)>;

// Writes the archive under a temporary name, syncs it, reads it back and compares every entry with
// the manifest, and only then gives it its name; so a file of that name is a whole and verified
// one. Mode 0600. On any error nothing is left behind. Errors: INVALID_ARGUMENT for bad names,
// NOT_FOUND when a name is missing, ALREADY_EXISTS when `output` exists, RESOURCE_EXHAUSTED when
// the disk is full or its floor is reached, CANCELLED after a stop request, DATA_LOSS when reading
// back shows another content. Thread-safe.
absl::StatusOr<ArchiveResult> WriteArchive(const ArchiveRequest& request,
                                           const ArchiveProgressSink& progress,
                                           std::stop_token stop);

// Reads the archive at `path` and compares every entry, and the end of the archive, with its
// manifest. DATA_LOSS names the first difference. NOT_FOUND when either file is missing.
absl::Status VerifyArchive(const std::string& path, std::stop_token stop);

// Removes what an interrupted WriteArchive left in `folder`. Call it at start-up, when none runs.
absl::Status SweepUnfinishedArchives(const std::string& folder);

}  // namespace mtp
