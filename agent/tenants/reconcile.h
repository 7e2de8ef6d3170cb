// Bringing the host to what the journal says: at the agent's start, after an engine restart, and
// every minute for what fell out meanwhile. It starts what should run and does not; it never
// touches what is not in the journal, and never removes anything.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <string>

#include "agent/tenants/actions.h"
#include "agent/tenants/board.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/executor.h"
#include "common/base/random.h"

namespace mtp {

// Thread-safe. All that is given outlives it, and the executor is stopped before it is destroyed.
class Reconciler {
 public:
  Reconciler(TenantTools* tools, Actions* actions, Board* board, Executor* executor,
             Random* random);

  // Files as they should be, leftovers of interrupted work swept, actions resumed. Call once,
  // before anything else acts. An error means that the project folder cannot be written.
  absl::Status Begin();
  // The engine answers (again): looks soon, and from then on every minute.
  void OnEngineUp();
  // There is a lease again: looks now. That a tenant under it ended was not its own fault: it is
  // started at once, also if it was only just before.
  void OnLeaseBack();
  void Stop();

  // Starts what should run and does not. Blocks for some milliseconds a tenant.
  void LookOnce();
  // The tenant's container keeps ending: begins to park it (park.cc), unless an action on it is
  // going on, or it is on probation. Called again while it keeps ending.
  void Park(const std::string& tenant);
  // News of an action that the agent began itself: when a start failed, the container is stopped
  // until the next attempt; one that keeps ending is left to be parked.
  void OnRecovery(const v1::Action& action);
  // Tells the board which data folders have no tenant.
  void PublishKeptData();

 private:
  struct Attempts {
    int count = 0;
    absl::Duration not_before;
  };

  // Whether the tenant's container is missing or has ended.
  bool HasFallenOut(const TenantName& name);
  bool IsOnProbation(const TenantName& name);
  void Thaw(const TenantName& name);
  bool KeepsEnding(const TenantName& name);
  // A container that runs is known to the guard, and left alone by the engine, as the journal says:
  // also one that was made by hand.
  void KeepLease(const state::v1::AgentTenantRecord& record, const TenantName& name);
  void Recover(const state::v1::AgentTenantRecord& record);
  void ScheduleLook(absl::Duration delay);

  TenantTools* const tools_;
  Actions* const actions_;
  Board* const board_;
  Executor* const executor_;
  Random* const random_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Attempts> attempts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
