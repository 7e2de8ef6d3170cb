// Steps that carry an action out on a tenant's host. Shared by all operation kinds of tenants.
#pragma once

#include <string>

#include "controller/hosts/agent_client.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"

namespace mtp {

// Name of the tenant that the operation is about; the target is `tenants/<name>`.
std::string TenantOf(const operations::StepContext& context);

// What becomes of an action that failed for good.
enum class OnFailure {
  kFail,      // the step fails: the operation is undone
  kTryAgain,  // a new action after a while: past the point of no return there is no way back
};

// Ensures the action on the host where the tenant is placed (its record says where and with which
// epoch), under the step's key, and waits for its end: the agent's events wake the operation. The
// action's results become facts and, for `container`, `image_id` and `backup_*`, results of the
// operation. A tenant without a record is done with: nothing is left to act on.
operations::StepResult RunOnHost(operations::StepContext& context, const Tables& tables,
                                 AgentDirectory& agents, v1::EnsureActionRequest request,
                                 OnFailure on_failure);

// Cancels the action that the step's run had begun, as far as it still runs; for compensations.
void CancelRun(const operations::StepContext& context, const Tables& tables,
               AgentDirectory& agents);

}  // namespace mtp
