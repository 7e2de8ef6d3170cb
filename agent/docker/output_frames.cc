#include "agent/docker/output_frames.h"

#include <algorithm>

namespace mtp {
namespace {

constexpr size_t kMaxPiece = 64 * 1024;

}  // namespace

bool GiveOutput(const OutputSink& sink, OutputStream stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kMaxPiece);
    if (!sink(stream, bytes.substr(0, size))) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

absl::Status OutputFrames::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      while (head_size_ < head_.size() && !bytes.empty()) {
        head_[head_size_++] = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
      }
      if (head_size_ < head_.size()) return absl::OkStatus();
      // 3 is the engine's own complaint about the log, shown as standard error.
      if (head_[0] > 3 || head_[1] != 0 || head_[2] != 0 || head_[3] != 0) {
        return absl::InternalError("the engine's output stream is not framed as documented");
      }
      stream_ = head_[0] >= 2 ? OutputStream::kStderr : OutputStream::kStdout;
      left_ = static_cast<uint32_t>(head_[4]) << 24 | static_cast<uint32_t>(head_[5]) << 16 |
              static_cast<uint32_t>(head_[6]) << 8 | static_cast<uint32_t>(head_[7]);
      head_size_ = 0;
      continue;
    }
    const size_t size = std::min<size_t>(left_, bytes.size());
    if (!GiveOutput(sink_, stream_, bytes.substr(0, size))) {
      return absl::CancelledError("the reader wants no more");
    }
    left_ -= static_cast<uint32_t>(size);
    bytes.remove_prefix(size);
  }
  return absl::OkStatus();
}

}  // namespace mtp
