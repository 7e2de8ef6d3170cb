// Calls that go on while something is done to the fleet.
#pragma once

#include <absl/time/time.h>

#include <atomic>

#include "tests/load/fleet_calls.h"

namespace mtp::load {

struct Steady {
  double rate = 100;  // calls a second, of all callers together
  int parallel = 10;  // callers, each with a connection that lasts
  absl::Duration most = absl::Minutes(5);
};
// Reads the fleet's status at that rate until `ends` is set; a call that is late is made at once,
// so none is left out. Every tenth call of a caller is the first of a new connection. In the
// figures `lasting` and `new`.
void CallSteadily(const Target& target, const Steady& steady, const std::atomic<bool>& ends,
                  Figures& figures);

}  // namespace mtp::load
