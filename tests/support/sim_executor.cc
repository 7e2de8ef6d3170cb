#include "tests/support/sim_executor.h"

#include <algorithm>

namespace mtp::testing {

void SimExecutor::PostAfter(absl::Duration delay, std::function<void()> task) {
  const absl::Duration due = clock_->Monotonic() + std::max(delay, absl::ZeroDuration());
  const uint64_t tie = random_ == nullptr ? 0 : random_->Uint64();
  tasks_.emplace(Key{due, {tie, posted_++}}, std::move(task));
}

bool SimExecutor::RunNext(absl::Duration until) {
  const absl::Duration now = clock_->Monotonic();
  if (tasks_.empty() || tasks_.begin()->first.first > until) {
    if (until != absl::InfiniteDuration() && until > now) clock_->Advance(until - now);
    return false;
  }
  auto node = tasks_.extract(tasks_.begin());
  if (node.key().first > now) clock_->Advance(node.key().first - now);
  node.mapped()();
  return true;
}

void SimExecutor::RunFor(absl::Duration duration) {
  const absl::Duration until = clock_->Monotonic() + duration;
  while (RunNext(until)) {
  }
}

}  // namespace mtp::testing
