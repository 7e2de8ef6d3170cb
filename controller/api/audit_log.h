// The audit log: every mutation and every refusal, in the store, newest 100,000.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/kv/store.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class AuditLog {
 public:
  AuditLog(kv::Store* store, const Clock* clock, Random* random, int max_entries = 100'000);

  // Sets the entry's time and keeps it. Refusals of anonymous callers are kept at most 60 a minute,
  // so that a flood cannot push the rest out; the others are only counted in the next one's
  // message. Texts are made valid UTF-8 of at most 1000 bytes. The store's error when it could not
  // be kept (RESOURCE_EXHAUSTED: the disk is full): the caller must not report success then.
  absl::Status Record(v1::AuditEntry entry);
  // Newest first. INVALID_ARGUMENT for a malformed token.
  absl::StatusOr<v1::ListAuditEntriesResponse> List(
      const v1::ListAuditEntriesRequest& request) const;

 private:
  kv::Store* const store_;
  const Clock* const clock_;
  Random* const random_;
  const int max_entries_;
  absl::Mutex mutex_;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration minute_began_ ABSL_GUARDED_BY(mutex_);
  int anonymous_in_minute_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t skipped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace mtp
