// A tenant's schedule as it stands: its policy, what was seen to, and what comes next.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "controller/backups/due.h"
#include "controller/state/tables.h"

namespace mtp {

// Who asks for what the schedule does: `created_by` of its operations.
inline constexpr char kScheduleCaller[] = "system/schedule";
// A backup or drill is tried so often for one due moment.
inline constexpr int kMaxScheduleAttempts = 3;

struct TenantSchedule {
  kv::Row<state::v1::TenantRecord> tenant;
  // PolicyOfTenant.
  v1::BackupPolicy policy;
  // Revision 0 while there is none.
  kv::Row<state::v1::ScheduleRecord> record;

  // Whether a tenant of this policy has backups by itself once there is a repository, and drills.
  bool BackupsOn() const { return !policy.off(); }
  bool DrillsOn() const { return !policy.off() && DrillIntervalOf(policy) > absl::ZeroDuration(); }
};

// When something is to be begun, and for which due moment.
struct Turn {
  absl::Time when;  // in the past: as soon as can be
  absl::Time due;
  int attempt = 1;
};

// `/policies/<id>`; an empty one when there is none.
absl::StatusOr<v1::BackupPolicy> PolicyOf(const Tables& tables, const std::string& id);
inline constexpr char kFleetPolicy[] = "fleet";
std::string TenantPolicyId(const std::string& tenant);
// The tenant's own, or the fleet's; `own` says which.
absl::StatusOr<v1::BackupPolicy> PolicyOfTenant(const Tables& tables, const std::string& tenant);

// By name; only placed tenants.
absl::StatusOr<std::vector<TenantSchedule>> ReadSchedules(const Tables& tables);
// NOT_FOUND with a sentence.
absl::StatusOr<TenantSchedule> ReadSchedule(const Tables& tables, const std::string& tenant);

// Writes `record` of each, in as few transactions as can be. ABORTED when a tenant or its record
// has changed since it was read; those before it are written.
absl::Status WriteSchedules(kv::Store* store, const std::vector<TenantSchedule>& changed);

// What comes next after `seen`, the due moment that was last seen to. A moment that has passed
// since is due now, however many have passed. `last` is the operation that saw to `seen`, unset
// when that is of no interest any more: one that failed is tried again, each time after a longer
// pause, but not once the next moment is due.
Turn NextTurn(const Cadence& cadence, absl::Time seen, const std::optional<v1::Operation>& last,
              absl::Time now);
// The tenant's next backup and drill. Unset while the record does not say since when they are
// scheduled, and for a policy without.
std::optional<Turn> NextBackup(const Tables& tables, const TenantSchedule& schedule,
                               absl::Time now);
std::optional<Turn> NextDrill(const Tables& tables, const TenantSchedule& schedule, absl::Time now);

// Request id of an attempt, the same for the same one at any time.
std::string RequestIdFor(const std::string& what, const std::string& tenant, const Turn& turn);

}  // namespace mtp
