// What operators and schedules make a fleet do.
#pragma once

#include <absl/time/time.h>

#include "tests/load/fleet_calls.h"

namespace mtp::load {

// Provisions the tenants 0 to `tenants`, at most `parallel` at a time, and waits for each.
void Provision(const Target& target, int tenants, int parallel, Figures& figures);

// Asks for one restart of each of `count` tenants at the same moment: `accepted` is how long the
// answers took, `ended` how long until they had ended.
void AtOnce(const Target& target, int count, Figures& figures);

struct Week {
  int tenants = 1000;
  int parallel = 64;
  // 1 is all that a week has: of each tenant seven backups, of which one in seven is read back,
  // a restart, a change of its limit, and a drill of every fourth one.
  double share = 1;
  // Nothing is begun after it.
  absl::Duration most = absl::Minutes(5);
};
// How many operations were carried out.
int RunWeek(const Target& target, const Week& week, Figures& figures);
// How many a whole week has.
int OperationsOfAWeek(int tenants);

// Updates `count` tenants to another image, `parallel` at a time.
void Update(const Target& target, int count, int parallel, Figures& figures);

}  // namespace mtp::load
