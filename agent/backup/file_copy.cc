#include "agent/backup/file_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Between two looks at the budget; a few milliseconds of work.
constexpr int64_t kPiece = 4 << 20;
// Blocks for as long as the disk takes, once its queue is full.
constexpr int64_t kSyncPiece = 8 << 20;
constexpr size_t kBuffer = 256 * 1024;
// What is compared and written at once.
constexpr size_t kBlock = 16 * 1024;

absl::Duration Monotonic() { return SystemClock().Monotonic(); }

// Fewer than `size` bytes only at the file's end.
absl::StatusOr<size_t> ReadAt(int file, char* to, size_t size, int64_t at) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(file, to + done, size - done, at + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

absl::Status WriteAt(int file, const char* from, size_t size, int64_t at) {
  size_t done = 0;
  while (done < size) {
    const ssize_t put = pwrite(file, from + done, size - done, at + static_cast<int64_t>(done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, "write the copy");
    done += static_cast<size_t>(put);
  }
  return absl::OkStatus();
}

// Copies inside the kernel, which shares the blocks where the file system can. -1 with errno EXDEV
// and the like where it cannot.
ssize_t CopyRange(int from, int to, int64_t at, int64_t size) {
  loff_t in = at;
  loff_t out = at;
  return copy_file_range(from, &in, to, &out, static_cast<size_t>(size), 0);
}

bool CannotCopyRange(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

absl::StatusOr<int64_t> CopyByBuffer(int from, int to, int64_t at, int64_t size,
                                     std::vector<char>* buffer) {
  buffer->resize(kBuffer);
  const size_t wanted = static_cast<size_t>(std::min<int64_t>(size, kBuffer));
  MTP_ASSIGN_OR_RETURN(const size_t got, ReadAt(from, buffer->data(), wanted, at));
  MTP_RETURN_IF_ERROR(WriteAt(to, buffer->data(), got, at));
  return static_cast<int64_t>(got);
}

absl::Status Resize(int file, int64_t size) {
  if (ftruncate(file, size) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "set the copy's size");
}

// What the copy has on disk in [begin, end) reads as zeros afterwards.
absl::Status ClearRange(int to, int64_t begin, int64_t end) {
  int64_t at = begin;
  while (at < end) {
    MTP_ASSIGN_OR_RETURN(const Extent extent, NextExtent(to, at, end));
    if (extent.begin == extent.end) return absl::OkStatus();
    if (fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, extent.begin,
                  extent.end - extent.begin) != 0) {
      if (errno != EOPNOTSUPP) return ErrnoStatus(errno, "make a hole in the copy");
      const std::vector<char> zeros(kBuffer, '\0');
      for (int64_t zero = extent.begin; zero < extent.end; zero += kBuffer) {
        const int64_t size = std::min<int64_t>(extent.end - zero, kBuffer);
        MTP_RETURN_IF_ERROR(WriteAt(to, zeros.data(), static_cast<size_t>(size), zero));
      }
    }
    at = extent.end;
  }
  return absl::OkStatus();
}

// Brings [begin, end) of the copy up to date. The bytes written; ends early where `from` does.
absl::StatusOr<int64_t> PatchExtent(int from, int to, Extent extent, const CopyBudget& budget,
                                    std::vector<char>* buffer) {
  buffer->resize(2 * kBuffer);
  char* const wanted = buffer->data();
  char* const present = wanted + kBuffer;
  int64_t written = 0;
  for (int64_t at = extent.begin; at < extent.end;) {
    MTP_RETURN_IF_ERROR(budget.Check());
    const size_t size = static_cast<size_t>(std::min<int64_t>(extent.end - at, kBuffer));
    MTP_ASSIGN_OR_RETURN(const size_t got, ReadAt(from, wanted, size, at));
    if (got == 0) break;
    MTP_ASSIGN_OR_RETURN(const size_t had, ReadAt(to, present, got, at));
    for (size_t block = 0; block < got; block += kBlock) {
      const size_t length = std::min(kBlock, got - block);
      if (block + length <= had && std::memcmp(wanted + block, present + block, length) == 0) {
        continue;
      }
      MTP_RETURN_IF_ERROR(WriteAt(to, wanted + block, length, at + static_cast<int64_t>(block)));
      written += static_cast<int64_t>(length);
    }
    at += static_cast<int64_t>(got);
  }
  return written;
}

}  // namespace

CopyBudget::CopyBudget(absl::Duration allowed, std::stop_token stop, const DiskFloor* floor)
    : allowed_(allowed), stop_(std::move(stop)), floor_(floor), begin_(Monotonic()) {}

absl::Duration CopyBudget::Elapsed() const { return Monotonic() - begin_; }

absl::Status CopyBudget::Check() const {
  if (stop_.stop_requested()) return absl::CancelledError("stopped on request");
  if (Elapsed() >= allowed_) {
    return absl::DeadlineExceededError("it was not done within " + absl::FormatDuration(allowed_));
  }
  return floor_ == nullptr ? absl::OkStatus() : floor_->Check();
}

absl::StatusOr<Extent> NextExtent(int file, int64_t at, int64_t size) {
  const off_t begin = lseek(file, at, SEEK_DATA);
  if (begin < 0) {
    if (errno == ENXIO) return Extent{size, size};
    if (errno == EINVAL) return Extent{at, size};
    return ErrnoStatus(errno, "look for data");
  }
  if (begin >= size) return Extent{size, size};
  const off_t end = lseek(file, begin, SEEK_HOLE);
  // Cut short meanwhile.
  if (end < 0 && errno == ENXIO) return Extent{size, size};
  if (end < 0) return ErrnoStatus(errno, "look for a hole");
  return Extent{begin, std::min<int64_t>(end, size)};
}

absl::Status SendToDisk(int file, int64_t size, const CopyBudget& budget) {
  const unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;
  int64_t at = 0;
  for (; size - at > kSyncPiece; at += kSyncPiece) {
    MTP_RETURN_IF_ERROR(budget.Check());
    sync_file_range(file, at, kSyncPiece, flags);
  }
  MTP_RETURN_IF_ERROR(budget.Check());
  // To the end, wherever that is by now.
  sync_file_range(file, at, 0, flags);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CopyContent(int from, int to, int64_t size, const CopyBudget& budget) {
  std::vector<char> buffer;
  bool in_kernel = true;
  int64_t written = 0;
  int64_t end_of_copy = 0;
  for (int64_t at = 0; at < size;) {
    MTP_ASSIGN_OR_RETURN(const Extent extent, NextExtent(from, at, size));
    for (at = extent.begin; at < extent.end;) {
      MTP_RETURN_IF_ERROR(budget.Check());
      int64_t put = 0;
      const int64_t piece = std::min(extent.end - at, kPiece);
      if (in_kernel) {
        put = CopyRange(from, to, at, piece);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && !CannotCopyRange(errno)) return ErrnoStatus(errno, "copy");
        in_kernel = put >= 0;
      }
      if (!in_kernel) {
        MTP_ASSIGN_OR_RETURN(put, CopyByBuffer(from, to, at, piece, &buffer));
      }
      if (put == 0) break;
      at += put;
      written += put;
      end_of_copy = at;
    }
    at = extent.end;
  }
  if (end_of_copy != size) MTP_RETURN_IF_ERROR(Resize(to, size));
  return written;
}

absl::StatusOr<int64_t> PatchContent(int from, int to, int64_t size, const CopyBudget& budget) {
  struct stat info {};
  if (fstat(to, &info) != 0) return ErrnoStatus(errno, "look at the copy");
  if (info.st_size > size) MTP_RETURN_IF_ERROR(Resize(to, size));
  std::vector<char> buffer;
  int64_t written = 0;
  for (int64_t at = 0; at < size;) {
    MTP_ASSIGN_OR_RETURN(const Extent extent, NextExtent(from, at, size));
    MTP_RETURN_IF_ERROR(ClearRange(to, at, extent.begin));
    MTP_ASSIGN_OR_RETURN(const int64_t patched, PatchExtent(from, to, extent, budget, &buffer));
    written += patched;
    at = extent.end;
  }
  if (fstat(to, &info) != 0) return ErrnoStatus(errno, "look at the copy");
  if (info.st_size != size) MTP_RETURN_IF_ERROR(Resize(to, size));
  return written;
}

}  // namespace mtp
