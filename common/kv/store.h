// The key-value store that holds all state of controller and agent. Its shape is etcd's: one
// revision number for the whole store, transactions that compare revisions, watches from a
// revision. Everything above sees only this interface; see docs/decisions/0002-state.md.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mtp::kv {

// One key as it stands at some revision.
struct Entry {
  std::string key;
  std::string value;
  // Revision at which the key was last put.
  int64_t mod_revision = 0;
};

// Succeeds when the key's mod_revision equals `mod_revision`; 0 means that the key is absent.
struct Compare {
  std::string key;
  int64_t mod_revision = 0;
};

// A set of changes, carried out as a whole or not at all.
struct Txn {
  std::vector<Compare> compares;
  std::vector<std::pair<std::string, std::string>> puts;
  std::vector<std::string> deletes;
  // What it replaces and deletes is soon gone from the disk too: for secrets, sealed or not.
  bool leaves_no_trace = false;

  Txn& RequireRevision(std::string key, int64_t mod_revision);
  Txn& RequireAbsent(std::string key);
  Txn& Put(std::string key, std::string value);
  Txn& Delete(std::string key);
  Txn& LeaveNoTrace();
};

// One change. Several events of one transaction share a revision.
struct Event {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  Entry entry;  // for kDelete only the key and the revision of the deletion
};

// Ends its watch when destroyed; after the destructor has returned the callback does not run any
// more. Must not be destroyed from inside its own callback.
class Watch {
 public:
  virtual ~Watch() = default;
};

// Thread-safe. Reads come from memory and never touch the disk; a transaction returns after it is
// on the disk.
class Store {
 public:
  virtual ~Store() = default;

  // NOT_FOUND when the key is absent.
  virtual absl::StatusOr<Entry> Get(absl::string_view key) const = 0;
  // All keys that begin with `prefix`, sorted by key, as of one moment. `revision`, when not null,
  // is set to the store's revision of that moment.
  virtual std::vector<Entry> List(absl::string_view prefix, int64_t* revision = nullptr) const = 0;
  // Carries the transaction out; returns its revision. ABORTED when a compare fails: nothing was
  // changed, read again and decide anew. RESOURCE_EXHAUSTED when the disk is full and INTERNAL for
  // other faults of it: nothing was changed, the store goes on. A key named twice among puts and
  // deletes is INVALID_ARGUMENT. One that leaves no trace has taken the former values off the
  // files of the store when it returns; when someone reads these meanwhile or the disk fails, the
  // next transaction of any kind or the next opening does it.
  virtual absl::StatusOr<int64_t> Commit(const Txn& txn) = 0;
  // Calls `on_events` for each later transaction that touches `prefix`, beginning after
  // `after_revision`, in order, each revision once, one at a time, on a thread of the store or of
  // the committer. The callback must be short and must neither commit nor take a lock that a
  // committer holds while it commits: events are handed out before Commit returns, on its thread,
  // unless another thread is already at it. OUT_OF_RANGE when `after_revision` is older than the
  // kept history (10,000 events, 64 MiB) or of the future: List again.
  virtual absl::StatusOr<std::unique_ptr<Watch>> WatchPrefix(
      std::string prefix, int64_t after_revision,
      std::function<void(const std::vector<Event>&)> on_events) = 0;
  virtual int64_t Revision() const = 0;
};

// Limits: keys 1 to 512 bytes, values 4 MiB, 512 changes a transaction (INVALID_ARGUMENT beyond).
inline constexpr size_t kMaxKeyBytes = 512;
inline constexpr size_t kMaxValueBytes = 4 << 20;
inline constexpr size_t kMaxChanges = 512;

}  // namespace mtp::kv
