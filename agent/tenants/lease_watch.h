// Ends what the lease does not allow any more, orderly and a little before the guard would: all
// tenants that may fail over when the lease ends, and one that is placed elsewhere by now.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <set>
#include <string>

#include "agent/lease/lease.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/executor.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Thread-safe. All that is given outlives it, and the executor is stopped before it is destroyed.
class LeaseWatch {
 public:
  // `on_lease_back`: there is a lease again after tenants had to be stopped, or were not started,
  // for want of one.
  LeaseWatch(TenantTools* tools, Lease* lease, Executor* executor,
             std::function<void()> on_lease_back);

  // Looks now and each second.
  void Start();
  void Stop();
  void LookOnce();

 private:
  void ScheduleLook();
  // Stops it unless that goes on already.
  void End(const state::v1::AgentTenantRecord& record);

  TenantTools* const tools_;
  Lease* const lease_;
  Executor* const executor_;
  const std::function<void()> on_lease_back_;

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool good_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> ending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
