// Containers that a Compose which was killed has left under another name.
//
// Compose (2.26, pkg/compose/convergence.go) makes a changed container anew beside the old one, as
// `0123456789ab_mtp-acme`, removes the old one and only then gives the new one its name. Killed in
// between, with the agent or by a deadline, it leaves that name; its next `up` takes the container
// for the right one and starts it as it is. The agent knows containers by their names: to it such a
// tenant would never run, could not be stopped, and would be backed up while it works.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <string>

#include "agent/tenants/tenant_tools.h"

namespace mtp {

// OK when the project's service has no other container than `container`. Else all of its containers
// and its network are removed, those that run after at most `grace`; what starts it next makes them
// anew. Errors: the engine's and Compose's.
absl::Status RemoveMisnamed(TenantTools& tools, const std::string& service,
                            const std::string& container, absl::Duration grace,
                            const CancelToken* cancel);

}  // namespace mtp
