// All work of a simulation in one thread, in the order of virtual time.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "common/base/executor.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"

namespace mtp::testing {

// Not thread-safe: tasks and callers are on one thread. Tasks that are due at the same moment run
// in the order of their posting, or, with a random, in one that it draws.
class SimExecutor final : public Executor {
 public:
  // Neither is owned; `random` may be null.
  SimExecutor(SimClock* clock, SeededRandom* random) : clock_(clock), random_(random) {}

  void Post(std::function<void()> task) override {
    PostAfter(absl::ZeroDuration(), std::move(task));
  }
  void PostAfter(absl::Duration delay, std::function<void()> task) override;

  // Runs the next task, advancing the clock to its time. False when there is none, or none due by
  // `until` (of monotonic time); the clock then stands at `until`.
  bool RunNext(absl::Duration until = absl::InfiniteDuration());
  // Runs all that is due within `duration` and advances the clock by it.
  void RunFor(absl::Duration duration);
  // Forgets everything: the process has died.
  void DropAll() { tasks_.clear(); }
  size_t pending() const { return tasks_.size(); }

 private:
  // Due time, then a tie breaker.
  using Key = std::pair<absl::Duration, std::pair<uint64_t, uint64_t>>;

  SimClock* const clock_;
  SeededRandom* const random_;
  uint64_t posted_ = 0;
  std::map<Key, std::function<void()>> tasks_;
};

}  // namespace mtp::testing
