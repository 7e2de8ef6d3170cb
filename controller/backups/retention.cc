#include "controller/backups/retention.h"

#include <algorithm>
#include <map>
#include <string>

#include "common/base/timestamps.h"

namespace mtp {

std::vector<v1::Backup> PrunePlan(const std::vector<v1::Backup>& backups, absl::Time now,
                                  int keep_last, int keep_days) {
  struct Seen {
    int backups = 0;
    bool verified = false;
  };
  std::vector<v1::Backup> newest_first = backups;
  std::sort(newest_first.begin(), newest_first.end(),
            [](const v1::Backup& a, const v1::Backup& b) { return a.name() > b.name(); });
  const absl::Time young = now - absl::Hours(24) * keep_days;
  std::map<std::string, Seen> repositories;
  std::vector<v1::Backup> plan;
  for (v1::Backup& backup : newest_first) {
    Seen& seen = repositories[backup.repository()];
    const bool is_newest_verified = backup.has_verify_time() && !seen.verified;
    seen.verified = seen.verified || backup.has_verify_time();
    const bool kept = ++seen.backups <= std::max(keep_last, 1) || is_newest_verified ||
                      FromTimestamp(backup.start_time()) >= young;
    if (!kept) plan.push_back(std::move(backup));
  }
  return plan;
}

}  // namespace mtp
