// Backups, drills and retention by themselves, as the policies say. See
// docs/decisions/0008-schedules.md.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "controller/backups/auto_prune.h"
#include "controller/backups/backups.h"
#include "controller/backups/scheduled_work.h"
#include "controller/backups/tenant_schedule.h"
#include "controller/state/observations.h"

namespace mtp {

// One timer, at the nearest due moment; changes of policies, tenants, repositories and locks lead
// to another look at once. What was seen to is in the store: a due moment that was missed while
// nothing ran is caught up once, and one that is begun and not noted yet is found again by its
// request id.
//
// Thread-safe. To be held by a shared_ptr; the arguments must outlive Stop.
class Schedule : public std::enable_shared_from_this<Schedule> {
 public:
  struct Options {
    // Backups and drills at once over the fleet (default 4); on one host there is never more than
    // one.
    int max_running = 4;
    // The wall clock, which may have jumped, is read again this often (default 10 minutes); what
    // could not be begun is tried again this much later (default 1 minute).
    absl::Duration recheck = absl::Minutes(10);
    absl::Duration busy_recheck = absl::Minutes(1);
    // Begins a drill of the backup (`backups/<ULID>`), or returns the operation that the same
    // request id began. Null for no drills.
    std::function<absl::StatusOr<v1::Operation>(
        const std::string& tenant, const std::string& backup, const std::string& request_id)>
        start_drill;
    // Called when something cannot be begun, for the log; once for the same reason. `what` is
    // `backup acme`, `drill acme`, `pruning of acme` or `schedules`. May be null.
    std::function<void(const std::string& what, const absl::Status& status)> on_failure;
  };

  // Drills through `backups`, for Options::start_drill; on behalf of the schedule.
  static decltype(Options::start_drill) DrillThrough(Backups* backups);

  Schedule(kv::Store* store, Backups* backups, const Observations* observations, const Clock* clock,
           Executor* executor, Options options);
  ~Schedule();

  // After the engine's Start.
  absl::Status Start();
  // Nothing is begun after this returns. Twice changes nothing.
  void Stop();

 private:
  // Something that is due.
  struct Due {
    const TenantSchedule* schedule = nullptr;
    Turn turn;
    bool drill = false;
  };

  void Wake();
  void Post() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTimer(absl::Duration at);
  void Run();

  // All of these are called by one Run at a time. How long nothing is to be done.
  absl::Duration Look();
  absl::StatusOr<absl::Duration> LookThrough();
  // Takes up those that begin to be scheduled, and lets go of those that are not any more.
  absl::Status Adopt(std::vector<TenantSchedule>& all, absl::Time now);
  std::vector<Due> FindDue(const std::vector<TenantSchedule>& all, absl::Time now,
                           absl::Duration* pause) const;
  // Begins what may begin now. True when something waits for what no change of the store will tell.
  bool BeginDue(const std::vector<Due>& due, ScheduledWork& work);
  absl::Status BeginBackup(const Due& due);
  absl::Status BeginDrill(const Due& due);
  absl::Status Note(const Due& due, const std::string& operation);
  // Puts it where `status` shows it, until a backup of the tenant succeeds.
  void ShowFailure(const std::string& tenant, const absl::Status& status);
  void Tell(const std::string& what, const absl::Status& status);

  kv::Store* const store_;
  const Tables tables_;
  Backups* const backups_;
  const Observations* const observations_;
  const Clock* const clock_;
  Executor* const executor_;
  const Options options_;
  AutoPrune prune_;
  std::vector<std::unique_ptr<kv::Watch>> watches_;
  // What could not be begun, until when (monotonic), and what was told of it last.
  std::map<std::string, absl::Duration> held_back_;
  std::map<std::string, std::string> told_;

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  bool again_ ABSL_GUARDED_BY(mutex_) = false;
  // Monotonic; infinite without a timer.
  absl::Duration timer_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace mtp
