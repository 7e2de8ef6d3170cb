// Copying the content of one file of a client: sparse files stay sparse, nothing is read beyond the
// size that was seen first, and every piece asks whether to go on.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <stop_token>

#include "common/base/disk_floor.h"

namespace mtp {

// When a copy has to end. Thread-safe: nothing in it changes.
class CopyBudget {
 public:
  // Begins now; `allowed` may be infinite. `floor`: of the file system that is written to; may be
  // null, and must outlive this.
  CopyBudget(absl::Duration allowed, std::stop_token stop, const DiskFloor* floor = nullptr);
  // CANCELLED after a stop request, DEADLINE_EXCEEDED once the time is over, and what the floor
  // says.
  absl::Status Check() const;
  absl::Duration Elapsed() const;

 private:
  const absl::Duration allowed_;
  const std::stop_token stop_;
  const DiskFloor* const floor_;
  const absl::Duration begin_;
};

// A part of a file that is on disk.
struct Extent {
  int64_t begin = 0;
  int64_t end = 0;  // begin == end == size: nothing but a hole follows.
};

// The first extent of the file's first `size` bytes that ends after `at`. On a file system that
// knows no holes all is one extent.
absl::StatusOr<Extent> NextExtent(int file, int64_t at, int64_t size);

// Begins to write what the file of `size` bytes has in memory only, so that a later write through a
// memory mapping changes its ctime again. Errors: CopyBudget's, between pieces; what the disk says
// is for whoever wrote the file.
absl::Status SendToDisk(int file, int64_t size, const CopyBudget& budget);

// Makes the empty file `to` a copy of the first `size` bytes of `from`; what `from` lacks of them
// is a hole. The bytes written. Errors: CopyBudget's, RESOURCE_EXHAUSTED when the disk is full.
absl::StatusOr<int64_t> CopyContent(int from, int to, int64_t size, const CopyBudget& budget);

// As CopyContent for a file `to` with an earlier content: both are read and only the blocks that
// differ are written.
absl::StatusOr<int64_t> PatchContent(int from, int to, int64_t size, const CopyBudget& budget);

}  // namespace mtp
