// Retention by itself: what policies do not keep is removed, and what called off backups have left.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controller/backups/backups.h"
#include "controller/backups/scheduled_work.h"
#include "controller/backups/tenant_schedule.h"

namespace mtp {

// A tenant's backups are looked through after each scheduled one that succeeded; and once a day
// those of every tenant whose last scheduled one did, and of tenants that are removed, by the
// fleet's policy. Nothing is removed under a policy that is off. What is to be done is kept in
// memory only: the next day finds what a crash has left.
//
// Not thread-safe. The arguments must outlive it.
class AutoPrune {
 public:
  // `max_running` operations at once over the fleet. `on_failure` may be null.
  AutoPrune(kv::Store* store, Backups* backups, const Clock* clock, int max_running,
            std::function<void(const std::string& what, const absl::Status&)> on_failure)
      : tables_(store),
        backups_(backups),
        clock_(clock),
        max_running_(max_running),
        on_failure_(std::move(on_failure)) {}

  // Notes what has ended since, and begins what can be begun. To be called when operations have
  // ended, and from time to time.
  void Look(const std::vector<TenantSchedule>& all, const ScheduledWork& work);

 private:
  // One tenant's.
  struct Shelf {
    std::vector<v1::Backup> backups;
    bool has_left_snapshots = false;  // of backups that were called off
  };
  using Catalogue = std::map<std::string, Shelf>;

  void NoteEnds(const std::vector<TenantSchedule>& all, const ScheduledWork& work);
  void NoteDay(const std::vector<TenantSchedule>& all, const Catalogue& catalogue);
  bool Succeeded(const TenantSchedule& schedule) const;
  absl::StatusOr<Catalogue> ReadCatalogue() const;
  // The operation, if there is anything to remove.
  absl::Status Begin(const std::string& tenant, const v1::BackupPolicy& policy,
                     const std::string& request_id, const Shelf& shelf, int* begun);

  const Tables tables_;
  Backups* const backups_;
  const Clock* const clock_;
  const int max_running_;
  const std::function<void(const std::string&, const absl::Status&)> on_failure_;

  bool started_ = false;
  absl::Duration next_day_;  // of monotonic time
  // By tenant: the last scheduled backup whose end was noted.
  std::map<std::string, std::string> noted_;
  // Tenants to look through, with the request id for it.
  std::map<std::string, std::string> waiting_;
};

}  // namespace mtp
