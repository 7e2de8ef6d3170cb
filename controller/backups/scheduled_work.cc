#include "controller/backups/scheduled_work.h"

#include <absl/strings/match.h>
#include <absl/strings/strip.h>

#include "common/base/status.h"
#include "controller/backups/tenant_schedule.h"

namespace mtp {

absl::StatusOr<ScheduledWork> ReadScheduledWork(const Tables& tables,
                                                const Observations& observations) {
  MTP_ASSIGN_OR_RETURN(const auto locks, tables.locks.List());
  ScheduledWork work;
  for (const auto& lock : locks) {
    absl::string_view tenant = lock.id;
    if (absl::ConsumePrefix(&tenant, "tenants/")) work.held.emplace(tenant);
    if (!work.operations.insert(lock.value.operation()).second) continue;
    const auto row = tables.operations.Get(lock.value.operation());
    if (!row.ok() || row->value.operation().created_by() != kScheduleCaller) continue;
    const v1::Operation& operation = row->value.operation();
    if (operation.kind() == "prune") {
      ++work.prunings;
      continue;
    }
    ++work.by_host[operation.host()];
    if (observations.GetHost(operation.host()).connected) ++work.running;
  }
  return work;
}

}  // namespace mtp
