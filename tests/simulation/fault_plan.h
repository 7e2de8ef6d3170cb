// Which faults one seed has, and how often. Each is switched on or off by the seed and its rate
// drawn over orders of magnitude, so that some seeds are calm, some have one kind of fault only,
// and some have everything at once.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/seeded_random.h"

namespace mtp::simulation {

// Rates in per mille of the occasions.
struct FaultPlan {
  // Of each commit.
  uint64_t disk_full = 0;
  uint64_t disk_error = 0;
  uint64_t crash_before_commit = 0;
  uint64_t crash_after_commit = 0;
  // Of each named point in the engine.
  uint64_t crash_at_point = 0;
  // Of each call to an agent.
  uint64_t lost_request = 0;
  uint64_t lost_reply = 0;
  // Of each event from an agent.
  uint64_t lost_event = 0;
  // Of each action: fails for good.
  uint64_t failing_action = 0;
  // Of each step call: asks to be retried, fails for good.
  uint64_t retrying_step = 0;
  uint64_t failing_step = 0;
  // Of each minute: a host is cut off or its agent dies for a while; the wall clock jumps.
  uint64_t cut_host = 0;
  uint64_t dying_agent = 0;
  uint64_t wall_jump = 0;
  // Of each created operation: someone cancels it later.
  uint64_t cancel = 0;
  // Of each accepted request: its caller asks again.
  uint64_t repeated_request = 0;

  struct NamedRate {
    const char* name;
    uint64_t FaultPlan::*rate;
  };
  static const std::vector<NamedRate>& Rates();

  static FaultPlan Draw(testing::SeededRandom& random);
  // No more faults of the machine; failures that belong to an operation's nature (cancel, failing
  // actions) are decided by its key and stay.
  void StopFaults();
};

}  // namespace mtp::simulation
