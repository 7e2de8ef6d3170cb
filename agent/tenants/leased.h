// Tenants that run only under the host's lease (agent/lease): what sets them apart from others.
#pragma once

#include <absl/status/status.h>

#include "agent/docker/engine.h"
#include "agent/tenants/tenant_tools.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Restart policies of a tenant's container: as it is rendered; and of one on probation, or under
// the lease, whom the engine must not revive.
inline constexpr char kTenantRestartPolicy[] = "unless-stopped";
inline constexpr char kNoRestart[] = "no";

// Result of actions after which the tenant runs under the lease alone.
inline constexpr char kLeaseResult[] = "lease";
inline constexpr char kLeaseBound[] = "bound";

// Whether the tenant may run only under the lease.
bool IsLeased(const state::v1::AgentTenantRecord& record);
// What its container's restart policy is to be.
const char* RestartPolicyFor(const state::v1::AgentTenantRecord& record);

// As Lease::MayStart; OK for a tenant that does not need the lease.
absl::Status MayStartLeased(const TenantTools& tools, const state::v1::AgentTenantRecord& record);

// Makes the guard and the engine treat the container as the journal says: covered or not, its
// restart policy. Before its first start for one that is leased. Twice changes nothing.
absl::Status SettleLease(const TenantTools& tools, const state::v1::AgentTenantRecord& record,
                         const ContainerDetails& details);

}  // namespace mtp
