// What restic 0.14 says: pure functions from its output to values and errors.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/restic/repository.h"
#include "common/restic/said_lines.h"

namespace mtp {

// Why a call failed, by what restic wrote to standard error (repository.h lists the codes). Never
// OK.
absl::Status ResticError(int exit_code, absl::string_view stderr_text);

// Standard output of `backup --json`, which comes in pieces of any size: one JSON object a line.
class BackupOutput {
 public:
  // Whole lines that are progress are given to `progress` (may be empty).
  void Add(absl::string_view bytes, const std::function<void(const BackupProgress&)>& progress);
  // The summary, without the full id: `snapshot` is its first digits. DATA_LOSS when none has come.
  absl::StatusOr<BackupResult> Summary() const;

 private:
  void Line(absl::string_view line, const std::function<void(const BackupProgress&)>& progress);
  SaidLines lines_{1 << 20};
  std::optional<BackupResult> summary_;
};

// Of `snapshots --json`; those without an identity of ours are left out. In order of time.
absl::StatusOr<std::vector<RepositorySnapshot>> ParseSnapshots(absl::string_view json);

// Of `stats --mode raw-data --json`.
absl::StatusOr<RepositoryStats> ParseStats(absl::string_view json);

// Bytes of the line `total prune: N blobs / 1.5 MiB`.
absl::StatusOr<int64_t> ParsePrunedBytes(absl::string_view text);

}  // namespace mtp
