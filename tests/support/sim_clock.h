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
  absl::Duration Boottime() const override {
    absl::MutexLock lock(&mutex_);
    return monotonic_ + slept_;
  }
  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    monotonic_ += duration;
  }
  // The machine sleeps: its monotonic clock stands still meanwhile.
  void Sleep(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    slept_ += duration;
    wall_offset_ += duration;
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
  absl::Duration slept_;
};

}  // namespace mtp::testing
