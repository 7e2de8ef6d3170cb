// The events on their way to one watch: in order, one callback at a time, none after the end.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/strings/string_view.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "common/kv/store.h"

namespace mtp::kv {

// Thread-safe.
class WatchQueue {
 public:
  WatchQueue(std::string prefix, std::function<void(const std::vector<Event>&)> on_events)
      : prefix_(std::move(prefix)), on_events_(std::move(on_events)) {}

  // Keeps those events of one revision that the watch is about; none is not kept.
  void Add(const std::vector<Event>& events);
  // Calls back for what is queued. When another thread is already doing so, leaves it to that
  // thread, so that a committer never waits for somebody else's callback.
  void Deliver();
  // Drops what is queued and waits for a running callback.
  void End();

 private:
  const std::string prefix_;
  const std::function<void(const std::vector<Event>&)> on_events_;
  absl::Mutex mutex_;
  std::deque<std::vector<Event>> queued_ ABSL_GUARDED_BY(mutex_);
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace mtp::kv
