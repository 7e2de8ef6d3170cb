// Describes a tree entry by entry, with the SHA-256 of each file.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <stop_token>

#include "agent/backup/manifest.h"

namespace mtp {

struct TreeScanLimits {
  int64_t max_entries = 5'000'000;
  int max_depth = 128;
};

// Gives `take` every entry beneath the opened folder, paths relative to it and the folder itself,
// `.`, first: depth first, names by their bytes. Files are hashed in two threads, the caller's and
// one that ends before this returns. A tree is hostile: no link is followed, no other file system
// entered (FAILED_PRECONDITION), and a socket, fifo or device is an entry of the type kSkipped.
// Errors: `take`'s, CANCELLED, RESOURCE_EXHAUSTED beyond a limit, ABORTED when the tree changes.
absl::Status ScanTree(int folder, const TreeScanLimits& limits,
                      const std::function<absl::Status(const ManifestEntry& entry)>& take,
                      std::stop_token stop);

}  // namespace mtp
