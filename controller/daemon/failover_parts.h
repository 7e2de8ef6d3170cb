// What failover is made of: the leases, and who watches over the hosts.
#pragma once

#include <memory>

#include "controller/daemon/foundation.h"
#include "controller/daemon/work_parts.h"
#include "controller/failover/failovers.h"
#include "controller/failover/host_removals.h"
#include "controller/failover/keeper.h"
#include "controller/failover/lease_book.h"

namespace mtp {

struct FailoverParts {
  // Both outlive it. The keeper is not started: that is before the first event of an agent, which
  // is what a lease is granted for.
  FailoverParts(Foundation* base, WorkParts* work);

  failover::LeaseBook book;
  failover::Failovers failovers;
  failover::HostRemovals removals;
  std::shared_ptr<failover::Keeper> keeper;
};

}  // namespace mtp
