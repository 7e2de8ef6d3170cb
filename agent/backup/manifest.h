// The manifest beside an archive: one JSON object per line. archive.h shows the format.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mtp {

enum class EntryType {
  kFile,
  kFolder,
  kSymlink,
  kHardlink,  // `target` is the path under which its content came earlier.
  kSkipped,   // Not in the archive; `reason` says why.
};

struct ManifestEntry {
  std::string path;  // Relative, as in the archive; any bytes but NUL.
  EntryType type = EntryType::kFile;
  mode_t mode = 0;  // Permission bits.
  uid_t uid = 0;
  gid_t gid = 0;
  int64_t size = 0;      // Of files.
  int64_t mtime_s = 0;   // Unix time.
  int64_t mtime_ns = 0;  // Below the second; only in manifests of trees.
  std::string sha256;    // Of files.
  std::string target;    // Of symbolic and hard links.
  std::string reason;    // Of what was skipped.
  bool changed = false;  // It changed while it was read: the archive has a mixture.
};

// Last line: what the archive as a whole must be.
struct ManifestEnd {
  std::string archive_sha256;  // Empty for a tree, which has no archive.
  int64_t archive_bytes = 0;
  int64_t entries = 0;  // In the archive.
  int64_t files = 0;
  int64_t content_bytes = 0;
  int64_t skipped = 0;
};

// What a manifest describes: an archive, or a tree (tree_manifest.h).
enum class ManifestOf { kArchive, kTree };

// Each without a line end.
std::string ManifestHeadLine(ManifestOf what = ManifestOf::kArchive);
std::string ManifestLine(const ManifestEntry& entry);
std::string ManifestLine(const ManifestEnd& end);

struct ManifestLineValue {
  enum class Kind { kHead, kEntry, kEnd };
  Kind kind = Kind::kHead;
  ManifestEntry entry;
  ManifestEnd end;
};
// DATA_LOSS when the line is none of the three.
absl::StatusOr<ManifestLineValue> ParseManifestLine(std::string_view line,
                                                    ManifestOf what = ManifestOf::kArchive);

}  // namespace mtp
