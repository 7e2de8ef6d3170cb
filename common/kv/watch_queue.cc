#include "common/kv/watch_queue.h"

#include <absl/strings/match.h>

#include <utility>

namespace mtp::kv {

void WatchQueue::Add(const std::vector<Event>& events) {
  std::vector<Event> wanted;
  for (const Event& event : events) {
    if (absl::StartsWith(event.entry.key, prefix_)) wanted.push_back(event);
  }
  if (wanted.empty()) return;
  absl::MutexLock lock(&mutex_);
  if (!ended_) queued_.push_back(std::move(wanted));
}

void WatchQueue::Deliver() {
  mutex_.Lock();
  if (!delivering_) {
    delivering_ = true;
    while (!queued_.empty()) {
      const std::vector<Event> events = std::move(queued_.front());
      queued_.pop_front();
      mutex_.Unlock();
      on_events_(events);
      mutex_.Lock();
    }
    delivering_ = false;
  }
  mutex_.Unlock();
}

void WatchQueue::End() {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
  queued_.clear();
  mutex_.Await(absl::Condition(
      +[](bool* delivering) { return !*delivering; }, &delivering_));
}

}  // namespace mtp::kv
