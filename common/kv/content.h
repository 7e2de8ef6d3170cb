// What a Store holds in memory: the entries, the recent history and the watches. Every Store keeps
// one of these and differs only in where it makes a transaction durable first.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/kv/store.h"

namespace mtp::kv {

// INVALID_ARGUMENT when the transaction is beyond the limits of store.h or names a key twice.
absl::Status CheckLimits(const Txn& txn);

class WatchQueue;

// Thread-safe; Apply and Load only from one thread at a time.
class Content {
 public:
  Content() = default;
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  // Fills an empty content at its opening. `revision` is the store's; history begins after it.
  void Load(std::vector<Entry> entries, int64_t revision);

  absl::StatusOr<Entry> Get(absl::string_view key) const;
  std::vector<Entry> List(absl::string_view prefix, int64_t* revision) const;
  int64_t Revision() const;
  // ABORTED, naming the key, when a compare fails.
  absl::Status CheckCompares(const Txn& txn) const;

  // Makes the transaction visible at `revision` (the former one plus 1) and queues its events.
  void Apply(const Txn& txn, int64_t revision);
  // Hands queued events to the watches, on this thread. Events that another thread is handing out
  // are left to it.
  void Deliver();

  absl::StatusOr<std::unique_ptr<Watch>> WatchPrefix(
      std::string prefix, int64_t after_revision,
      std::function<void(const std::vector<Event>&)> on_events);

 private:
  using Batch = std::shared_ptr<const std::vector<Event>>;

  void Remember(Batch batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  // Oldest first; one batch a transaction.
  std::deque<Batch> history_ ABSL_GUARDED_BY(mutex_);
  size_t history_events_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t history_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Every later revision is in history_.
  int64_t forgotten_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::weak_ptr<WatchQueue>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp::kv
