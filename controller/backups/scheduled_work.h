// What goes on right now, as the schedule has to know it.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <string>

#include "controller/state/observations.h"
#include "controller/state/tables.h"

namespace mtp {

struct ScheduledWork {
  // Tenants that an operation holds, whoever began it.
  std::set<std::string> held;
  // ULIDs of operations that go on.
  std::set<std::string> operations;
  // Backups and drills of the schedule, by host.
  std::map<std::string, int> by_host;
  // The same over the fleet. Those of a host that is away only wait, and do not count.
  int running = 0;
  int prunings = 0;

  void Add(const std::string& tenant, const std::string& host) {
    held.insert(tenant);
    ++by_host[host];
    ++running;
  }
};

// From the locks: every operation that matters here holds one. DATA_LOSS when they cannot be read.
absl::StatusOr<ScheduledWork> ReadScheduledWork(const Tables& tables,
                                                const Observations& observations);

}  // namespace mtp
