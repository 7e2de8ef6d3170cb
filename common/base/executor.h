// Where work runs, injected: a bounded thread pool in production, one virtual-time queue in the
// simulation.
#pragma once

#include <absl/time/time.h>

#include <functional>

namespace mtp {

// Thread-safe. Tasks must not throw.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` soon, on another stack.
  virtual void Post(std::function<void()> task) = 0;
  // Runs `task` after `delay` of monotonic time. Tasks not yet due when the executor stops are
  // dropped: what must happen is in the store, never only here.
  virtual void PostAfter(absl::Duration delay, std::function<void()> task) = 0;
};

}  // namespace mtp
