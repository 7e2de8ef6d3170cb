// Which tenants of lost hosts are placed elsewhere: one pure function. It reads no clock and no
// store; tests, the keeper and the preview call it on the same value. See
// docs/decisions/0016-leases.md.
#pragma once

#include <absl/time/time.h>

#include <set>
#include <string>
#include <vector>

namespace mtp::failover {

// A host as far as failover cares.
struct HostLife {
  std::string name;
  // The controller hears it now.
  bool heard = true;
  // Of one that is not heard: when it last was, on the controller's boot clock.
  absl::Duration silent_since;
  // Of one that is not heard: its lease has run out and the margin has passed; whatever of its
  // tenants was under the lease does not run any more.
  bool lease_over = false;
};

// A placed tenant.
struct Placed {
  std::string tenant;
  std::string host;
  // Its policy is to fail over.
  bool may_fail_over = false;
  // Its host has confirmed that it runs under the lease only.
  bool leased = false;
  // It asks for this host and no other.
  bool asks_for_host = false;
  // Meant to run.
  bool wanted = true;
  // Kind of the operation that holds it; empty without, and when that one makes way.
  std::string busy;
  // ULID of the backup that it would be restored from; empty without.
  std::string backup;
  // Nothing is tried before that moment of the controller's boot clock, after tries that failed.
  absl::Duration not_before;
};

struct Move {
  std::string tenant;
  std::string from;
  std::string backup;
};

// A tenant of a host that is not heard, and why it is not moved now.
struct Held {
  std::string tenant;
  std::string host;
  std::string reason;  // one sentence, no final full stop
  // The operation that is in the way may be called off.
  bool busy = false;
};

struct Decision {
  std::vector<Move> moves;  // by tenant
  std::vector<Held> held;   // by tenant
};

// Hosts that vanished so shortly after one another vanished together: that is a network, or this
// controller, and not the hosts.
inline constexpr absl::Duration kTogether = absl::Minutes(5);

// Hosts of which nothing is moved: at least two, and a third or more of all, vanished together.
std::set<std::string> Frozen(const std::vector<HostLife>& hosts);

// Pure: same input, same decision, whatever the order.
Decision Decide(const std::vector<HostLife>& hosts, const std::vector<Placed>& tenants,
                absl::Duration now);

}  // namespace mtp::failover
