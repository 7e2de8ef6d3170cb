// Randomness that a seed replays.
#pragma once

#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <string>

#include "common/base/random.h"

namespace mtp::testing {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). Thread-safe.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t Uint64() override {
    absl::MutexLock lock(&mutex_);
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::string Bytes(size_t size) override {
    std::string bytes;
    while (bytes.size() < size) {
      const uint64_t word = Uint64();
      for (int i = 0; i < 8 && bytes.size() < size; ++i) {
        bytes += static_cast<char>(word >> (8 * i));
      }
    }
    return bytes;
  }

  // 0 to `bound` - 1; `bound` at least 1.
  uint64_t Below(uint64_t bound) { return Uint64() % bound; }
  // True in `per_mille` of 1,000 cases.
  bool Chance(uint64_t per_mille) { return Below(1000) < per_mille; }

 private:
  absl::Mutex mutex_;
  uint64_t state_;
};

}  // namespace mtp::testing
