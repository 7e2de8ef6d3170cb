// This host's lease, as the agent keeps it: until when tenants that may fail over may run here, and
// which. It is what the guard enforces; the agent itself stops them a little earlier, orderly.
//
// Time is this machine's CLOCK_BOOTTIME alone. A lease counts from the stamp that this agent had
// put on an event, so a grant that was under way for long is worth less, never more. Nothing of it
// is compared with another machine's clock; the margin is the controller's (controller/failover).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/lease/lease_file.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe. What is given outlives it.
class Lease {
 public:
  struct Options {
    // Shared with the guard.
    std::string folder;
    // Of this boot; what a file of another one says means nothing.
    std::string boot_id;
    // Whether the guard lives; null asks its beat, which is at most 5 s old then.
    std::function<bool()> guard_lives;
  };

  Lease(Options options, const Clock* clock, Random* random);

  // Takes over what an earlier life of the agent left in the file.
  absl::Status Open();

  // For an event that leaves now.
  v1::LeaseStamp Stamp() const;
  // As AgentService.GrantLease. After an error of the file nothing has changed: the guard would not
  // know of it.
  absl::Status Grant(const v1::GrantLeaseRequest& request);
  bool IsGuarded() const;

  // Whether a tenant that may fail over may be started now. FAILED_PRECONDITION without a guard;
  // UNAVAILABLE while there is no lease, or it does not name the tenant with at least that epoch:
  // the next one comes within seconds where the controller is reached.
  absl::Status MayStart(const std::string& tenant, int64_t epoch) const;
  // Whether one that runs has to be stopped now: the lease ends in a moment, or names it no more.
  // What a new life of the agent was not told yet is not held against a tenant while the lease
  // lasts.
  bool MustStop(const std::string& tenant, int64_t epoch) const;
  // There is a lease, of this life of the agent, and it does not end in a moment.
  bool IsGood() const;
  // Until the lease ends; not more than zero when it has.
  absl::Duration Left() const;

  // The guard is to end that container of the tenant when the lease ends. To be called before it is
  // started for the first time. RESOURCE_EXHAUSTED beyond guard::kMaxContainers.
  absl::Status Cover(const std::string& tenant, const std::string& container_id);
  bool IsCovered(const std::string& tenant, const std::string& container_id) const;
  // The tenant does not depend on the lease any more.
  absl::Status Release(const std::string& tenant);

 private:
  bool IsEnding() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOver() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Named with at least that epoch; unset when nothing was granted in this life.
  std::optional<bool> IsNamed(const std::string& tenant, int64_t epoch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(guard::Lease lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;
  const std::string instance_;

  mutable absl::Mutex mutex_;
  std::optional<LeaseFile> file_ ABSL_GUARDED_BY(mutex_);
  // As in the file.
  guard::Lease lease_ ABSL_GUARDED_BY(mutex_);
  // Of the newest grant.
  absl::Duration stamp_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Duration duration_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::map<std::string, int64_t>> named_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
