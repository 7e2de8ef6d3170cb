// The manifest of a tree: what a backup holds, and what a restored folder is held to.
//
// One JSON object per line, in the order of ScanTree; members as in archive.h's, with `mtime_ns`,
// and paths relative to the tree, whose own is `.`. First {"format":"mtp-tree/1"}, then the
// entries, then what was skipped, then
// {"end":true,"entries":…,"files":…,"content_bytes":…,"skipped":…}.
#pragma once

#include <absl/status/statusor.h>

#include <stop_token>
#include <string>
#include <vector>

#include "agent/backup/manifest.h"
#include "agent/backup/staging.h"
#include "agent/backup/tree_scan.h"

namespace mtp {

// Describes `folder` at `output`, which is written under another name, synced and renamed; an older
// one is replaced. Nothing must change the folder meanwhile. Errors: ScanTree's, and
// RESOURCE_EXHAUSTED when the disk is full; then `output` is as it was.
absl::StatusOr<ManifestEnd> WriteTreeManifest(const std::string& folder,
                                              const std::vector<SkippedEntry>& skipped,
                                              const TreeScanLimits& limits,
                                              const std::string& output, std::stop_token stop);

// Reads all of `folder` and holds it to the manifest. DATA_LOSS names the first difference: a file
// that is missing, extra, or differs in type, content, mode, owner, time or target. The time of the
// folder itself is not compared. Else ScanTree's errors; NOT_FOUND when either is missing.
absl::Status CompareWithTree(const std::string& folder, const std::string& manifest,
                             const TreeScanLimits& limits, std::stop_token stop);

}  // namespace mtp
