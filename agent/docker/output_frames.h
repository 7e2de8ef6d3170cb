// The engine's framing of two output streams in one (Engine API, ContainerAttach, "Stream format"):
// eight bytes of head, {stream, 0, 0, 0, size as 32 bits big-endian}, then the bytes.
#pragma once

#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "agent/docker/engine.h"

namespace mtp {

// Takes the bytes in any pieces and gives them on without collecting them. Not thread-safe.
class OutputFrames {
 public:
  explicit OutputFrames(const OutputSink& sink) : sink_(sink) {}

  // INTERNAL when the framing is broken, CANCELLED when the sink wants no more.
  absl::Status Feed(std::string_view bytes);
  // Whether the bytes so far end at the end of a frame.
  bool AtFrameEnd() const { return head_size_ == 0 && left_ == 0; }

 private:
  const OutputSink& sink_;
  std::array<unsigned char, 8> head_{};
  size_t head_size_ = 0;
  uint32_t left_ = 0;
  OutputStream stream_ = OutputStream::kStdout;
};

// Gives `bytes` to the sink in pieces of at most 64 KiB; false when it wants no more.
bool GiveOutput(const OutputSink& sink, OutputStream stream, std::string_view bytes);

}  // namespace mtp
