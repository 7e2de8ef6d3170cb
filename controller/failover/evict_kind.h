// The operation kind `evict`: what a lost host still has of a tenant that was placed elsewhere is
// taken off once the host is back. Its data is kept there.
#pragma once

#include "controller/operations/engine.h"
#include "controller/tenants/kinds.h"

namespace mtp::failover {

// Fact: the host; the target is the tenant.
inline constexpr char kEvictedFromFact[] = "evicted_from";

// take-off. Waits for as long as the host is away; ends when the host leaves the fleet.
operations::Kind EvictKind(TenantClients clients);

// The operation for a record. Its request id makes it the only one.
operations::NewOperation EvictOperation(const state::v1::EvictionRecord& eviction);

}  // namespace mtp::failover
