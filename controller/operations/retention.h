// Which finished operations are kept, and for how long.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <set>
#include <string>
#include <utility>

#include "common/kv/store.h"

namespace mtp::operations {

// Thread-safe.
class Retention {
 public:
  Retention(kv::Store* store, int max_finished, absl::Duration keep_finished)
      : store_(store), max_finished_(max_finished), keep_finished_(keep_finished) {}

  void Add(const std::string& id, absl::Time end_time);
  // Deletes up to 50 operations that are too many or too old, oldest first, with their request ids,
  // in one transaction. True when more are due.
  absl::StatusOr<bool> Prune(absl::Time now);

 private:
  kv::Store* const store_;
  const int max_finished_;
  const absl::Duration keep_finished_;
  absl::Mutex mutex_;
  std::set<std::pair<absl::Time, std::string>> finished_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp::operations
