// Stopping a tenant's container, and proving it.
#pragma once

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/names.h"

namespace mtp {

// How long OpenClaw may go on after it has said that no work is left.
inline constexpr absl::Duration kAfterDrain = absl::Seconds(20);

// SIGTERM, and SIGKILL only after OpenClaw's whole drain of running turns, or kAfterDrain after it
// has said that the drain is settled. Absent is done.
PhaseResult StopContainer(TenantTools& tools, const TenantName& name, PhaseContext& context);

// OK when the engine says that the container has no process, or that there is none of it;
// FAILED_PRECONDITION when it runs.
absl::Status ProveStopped(TenantTools& tools, const TenantName& name);

}  // namespace mtp
