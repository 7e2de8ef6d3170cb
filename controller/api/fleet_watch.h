// Everybody who watches the fleet's status. It is looked at and put into bytes once for all of
// them, so that a hundred watchers of a thousand tenants cost little more than one; a reader that
// is slow holds those bytes, not a copy.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/kv/store.h"
#include "controller/api/latest_stream.h"
#include "controller/state/observations.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

// Any change of the store or of what is observed leads to one look, at most one every half second,
// and to none while nobody watches. Thread-safe. The arguments must outlive it.
class FleetWatch : public std::enable_shared_from_this<FleetWatch> {
 public:
  // The fleet's status, or that of one tenant and its host.
  using Look = std::function<absl::StatusOr<v1::FleetStatus>(const std::string& tenant)>;
  using Bytes = grpc::ByteBuffer;

  struct Watcher {
    std::string tenant;              // empty: all of the fleet
    std::function<bool()> may_read;  // asked before each status; false ends the stream
    std::shared_ptr<void> place;     // released with the stream
  };

  static std::shared_ptr<FleetWatch> Create(kv::Store* store, Observations* observations,
                                            Executor* executor, const Clock* clock, Look look);

  // A stream of the status now and after changes, until its caller goes away or may not read it any
  // more (PERMISSION_DENIED), or the tenant is gone (NOT_FOUND).
  grpc::ServerWriteReactor<Bytes>* Add(Watcher watcher);

 private:
  using Stream = LatestStream<Bytes>;
  struct Entry {
    Watcher watcher;
    std::shared_ptr<Stream> stream;
  };

  FleetWatch(kv::Store* store, Observations* observations, Executor* executor, const Clock* clock,
             Look look);
  absl::Status Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(showing_);
  void Remove(int64_t id);
  void Changed();
  void Show();
  // Bytes for watchers of that tenant. Nothing older than a change that was told of before.
  absl::StatusOr<Bytes> LookAt(const std::string& tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(showing_);
  static void Give(const Entry& entry, const absl::StatusOr<Bytes>& bytes);

  kv::Store* const store_;
  Observations* const observations_;
  Executor* const executor_;
  const Clock* const clock_;
  const Look look_;

  // Held during a look, so that no watcher gets an older status after a newer one. Before mutex_.
  absl::Mutex showing_;
  std::shared_ptr<void> listener_ ABSL_GUARDED_BY(showing_);
  std::unique_ptr<kv::Watch> watch_ ABSL_GUARDED_BY(showing_);
  // Of the whole fleet, and since when (monotonic).
  std::optional<Bytes> latest_ ABSL_GUARDED_BY(showing_);
  absl::Duration latest_time_ ABSL_GUARDED_BY(showing_);

  absl::Mutex mutex_;
  std::map<int64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  // Since the last look at the whole fleet.
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;
  // Another look is on its way.
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace mtp
