// When backups and drills of a tenant are due. Pure; all moments are of UTC, so no day is longer
// than another.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include "mtp/v1/backup.pb.h"

namespace mtp {

// A moment that comes again and again: `offset` after the Unix epoch, and every `period` before and
// after that. The offset is less than the period, which is more than nothing.
struct Cadence {
  absl::Duration period;
  absl::Duration offset;

  bool operator==(const Cadence& other) const {
    return period == other.period && offset == other.offset;
  }
};

// The policy's values with the defaults of backup.proto. Lengths out of its bounds are as they are.
absl::Duration IntervalOf(const v1::BackupPolicy& policy);
absl::Duration WindowOf(const v1::BackupPolicy& policy);
int WindowStartMinute(const v1::BackupPolicy& policy);
int KeepLastOf(const v1::BackupPolicy& policy);
int KeepDaysOf(const v1::BackupPolicy& policy);
// Zero means that there are none.
absl::Duration DrillIntervalOf(const v1::BackupPolicy& policy);

// When the tenant's backups are due. An interval of whole days is due within the window, any other
// one anywhere in it. Which moment is the tenant's own follows from its name alone, and is the same
// in every build.
Cadence BackupCadence(const v1::BackupPolicy& policy, absl::string_view tenant);
// The same for its drills, anywhere in their interval. Not for a policy without drills.
Cadence DrillCadence(const v1::BackupPolicy& policy, absl::string_view tenant);

// The newest due moment that is not after `now`, and the first that is after it.
absl::Time LastDue(const Cadence& cadence, absl::Time now);
absl::Time NextDue(const Cadence& cadence, absl::Time now);

}  // namespace mtp
