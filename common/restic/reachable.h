// Whether a server is there at all, before a program is started that would try for a quarter of an
// hour.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <string>

namespace mtp {

// Connects by TCP to any of the host's addresses and closes again. `host` is a name, an address, or
// an IPv6 address in brackets. UNAVAILABLE with one sentence when none answers within `timeout`.
// Blocks; resolving the name is not bounded by `timeout` but by the system's resolver.
absl::Status CheckReachable(const std::string& host, int port, absl::Duration timeout);

}  // namespace mtp
