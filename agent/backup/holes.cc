#include "agent/backup/holes.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "agent/backup/file_copy.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 64 << 10;
constexpr int64_t kRead = 16 * kPiece;

bool IsZero(const char* bytes, size_t size) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

// Gathers pieces that lie side by side into one hole.
class Digger {
 public:
  explicit Digger(int file) : file_(file) {}

  absl::Status Add(int64_t begin, int64_t size) {
    if (begin == end_) {
      end_ += size;
      return absl::OkStatus();
    }
    MTP_RETURN_IF_ERROR(Dig());
    begin_ = begin;
    end_ = begin + size;
    return absl::OkStatus();
  }

  absl::Status Dig() {
    if (begin_ == end_) return absl::OkStatus();
    if (fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin_, end_ - begin_) != 0) {
      return ErrnoStatus(errno, "make a hole");
    }
    begin_ = end_;
    dug_ = true;
    return absl::OkStatus();
  }

  bool dug() const { return dug_; }

 private:
  const int file_;
  int64_t begin_ = 0;
  int64_t end_ = 0;
  bool dug_ = false;
};

absl::Status DigIn(int file, int64_t size, const std::stop_token& stop, Digger& digger) {
  std::vector<char> buffer(kRead);
  for (int64_t at = 0; at < size;) {
    if (stop.stop_requested()) return absl::CancelledError("stopped on request");
    MTP_ASSIGN_OR_RETURN(const Extent extent, NextExtent(file, at, size));
    if (extent.begin == extent.end) break;
    at = std::max(at, extent.begin - extent.begin % kPiece);
    const ssize_t got = pread(file, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read");
    if (got == 0) break;
    for (int64_t begin = 0; begin < got; begin += kPiece) {
      const int64_t piece = std::min<int64_t>(kPiece, got - begin);
      if (!IsZero(buffer.data() + begin, static_cast<size_t>(piece))) continue;
      MTP_RETURN_IF_ERROR(digger.Add(at + begin, piece));
    }
    at += got;
  }
  return digger.Dig();
}

absl::Status DigFile(const std::string& path, int64_t from, const std::stop_token& stop) {
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "open");
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "look at it");
  if (!S_ISREG(info.st_mode) || info.st_size < from) return absl::OkStatus();
  Digger digger(file.get());
  const absl::Status dug = DigIn(file.get(), info.st_size, stop, digger);
  const std::array<struct timespec, 2> times = {info.st_atim, info.st_mtim};
  if (digger.dug() && futimens(file.get(), times.data()) != 0) {
    return ErrnoStatus(errno, "set its times");
  }
  return dug;
}

}  // namespace

absl::Status DigHoles(const std::string& folder, std::stop_token stop, int64_t from) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (stop.stop_requested()) return absl::CancelledError("stopped on request");
    struct stat info {};
    if (lstat(it->path().c_str(), &info) != 0) return ErrnoStatus(errno, "look at a file");
    if (!S_ISREG(info.st_mode) || info.st_size < from) continue;
    const absl::Status dug = DigFile(it->path(), from, stop);
    if (absl::IsUnimplemented(dug)) return absl::OkStatus();
    MTP_RETURN_IF_ERROR(Annotate(dug, "give a sparse file its holes back"));
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("read ", folder));
  return absl::OkStatus();
}

}  // namespace mtp
