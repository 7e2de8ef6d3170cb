// Which backups of a tenant are too many. Pure.
#pragma once

#include <absl/time/time.h>

#include <vector>

#include "mtp/v1/backup.pb.h"

namespace mtp {

// Those of one tenant's `backups` (in any order) that may go, newest first. Kept in each repository
// are the newest, the newest that was verified, the newest `keep_last`, and all that hold a moment
// of the last `keep_days` days; so the same again on what is left removes nothing. The newest is
// that of the greatest name: the controller's clock made it, and hosts' clocks differ.
std::vector<v1::Backup> PrunePlan(const std::vector<v1::Backup>& backups, absl::Time now,
                                  int keep_last, int keep_days);

}  // namespace mtp
