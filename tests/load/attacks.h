// What callers who mean no good do over gRPC; what they do beneath it is in attacks.py.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "tests/load/fleet_calls.h"

namespace mtp::load {

// Opens `streams` of the fleet's status over a few connections, reads nothing of them, and holds
// them for that long. {"streams": N, "refused": R, "held": H}: refused with RESOURCE_EXHAUSTED, and
// those that were open until the end.
std::string SlowReaders(const Target& target, int streams, absl::Duration hold);

// Calls with messages of more and more bytes, over one connection. {"1024": "NOT_FOUND", …}: the
// code of each.
std::string Oversized(const Target& target);

// Calls Join with a made up token, `callers` at a time, for that long. `authority_pem` is the
// fleet's. {"calls": N, "codes": {"RESOURCE_EXHAUSTED": …}}.
std::string JoinFlood(const std::string& enrollment, const std::string& authority_pem, int callers,
                      absl::Duration during);

}  // namespace mtp::load
