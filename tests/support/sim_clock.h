// Virtual time.
#pragma once

#include <absl/synchronization/mutex.h>

#include "common/base/clock.h"

namespace mtp::testing {

// Stands still until it is advanced. Thread-safe.
class SimClock final : public Clock {
 public:
  absl::Time Now() const override {
    absl::MutexLock lock(&mutex_);
    return absl::FromUnixSeconds(1'767'225'600) + monotonic_ + wall_offset_;  // 2026-01-01
  }
  absl::Duration Monotonic() const override {
    absl::MutexLock lock(&mutex_);
    return monotonic_;
  }
  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    monotonic_ += duration;
  }
  // The wall clock jumps, the monotonic clock does not.
  void JumpWall(absl::Duration offset) {
    absl::MutexLock lock(&mutex_);
    wall_offset_ += offset;
  }

 private:
  mutable absl::Mutex mutex_;
  absl::Duration monotonic_;
  absl::Duration wall_offset_;
};

}  // namespace mtp::testing
