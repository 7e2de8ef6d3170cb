// Time, injected. Everything that decides or waits takes a Clock, so that tests run on virtual
// time.
#pragma once

#include <absl/time/time.h>

namespace mtp {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time; may jump. Only for timestamps shown to people and for lifetimes of
  // certificates and tokens.
  virtual absl::Time Now() const = 0;
  // Time since some fixed moment; never jumps back. For waits, backoff and rates.
  virtual absl::Duration Monotonic() const = 0;
  // Time since the machine's boot; as Monotonic, but goes on while the machine sleeps
  // (CLOCK_BOOTTIME). For leases: what is promised for a while must not last longer for those who
  // slept.
  virtual absl::Duration Boottime() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  absl::Duration Boottime() const override;
};

}  // namespace mtp
