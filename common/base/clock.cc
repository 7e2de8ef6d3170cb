#include "common/base/clock.h"

#include <absl/time/clock.h>
#include <time.h>

namespace mtp {

absl::Time SystemClock::Now() const { return absl::Now(); }

namespace {

absl::Duration Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace

absl::Duration SystemClock::Monotonic() const { return Read(CLOCK_MONOTONIC); }

absl::Duration SystemClock::Boottime() const { return Read(CLOCK_BOOTTIME); }

}  // namespace mtp
