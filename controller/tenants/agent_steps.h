// Steps that carry an action out on a tenant's host. Shared by all operation kinds of tenants.
#pragma once

#include <absl/strings/string_view.h>

#include <optional>
#include <string>

#include "controller/hosts/agent_client.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"

namespace mtp {

// Name of the tenant that the operation is about; the target is `tenants/<name>`.
std::string TenantOf(const operations::StepContext& context);
absl::string_view TenantOf(const state::v1::OperationRecord& record);

// Empty when the record does not have it.
std::string FactOf(const state::v1::OperationRecord& record, const std::string& name);

// What becomes of an action that failed for good.
enum class OnFailure {
  kFail,      // the step fails: the operation is undone
  kTryAgain,  // a new action after a while: past the point of no return there is no way back
};

// How many actions of this step have failed and were tried again (kTryAgain).
int RoundsFailed(const operations::StepContext& context);

// Where an action is carried out, and for which placement of its tenant.
struct ActionPlace {
  std::string host;
  int64_t epoch = 0;
};

// Fact of an operation that may see its tenant placed anew on the same host (failover/yield.h): the
// epoch when it was created.
inline constexpr char kPlacementFact[] = "placement";

// Key of the step's action after so many that have failed. A host knows an action again by its key
// and all that was asked for, the epoch too, so for another placement than the operation's own it
// is another key.
std::string ActionKey(const operations::StepContext& context, const ActionPlace& place,
                      int rounds_failed);

// Ensures the action there under the step's key and waits for its end: the agent's events wake the
// operation. `request` names the tenant; it must be the same in every run of the step. The action's
// results become results of the operation, and facts unless there is such a fact already: what the
// controller decided is not for an agent to change.
operations::StepResult RunThere(operations::StepContext& context, AgentDirectory& agents,
                                const ActionPlace& place, v1::EnsureActionRequest request,
                                OnFailure on_failure);

// The same on the operation's host, where the tenant is placed; its record says with which epoch. A
// tenant without a record is done with: nothing is left to act on. Of one that is placed elsewhere
// nothing is done; it is waited for. One that was placed anew since makes the step fail, unless it
// is a compensation: what was done before was for the earlier placement.
operations::StepResult RunOnHost(operations::StepContext& context, const Tables& tables,
                                 AgentDirectory& agents, v1::EnsureActionRequest request,
                                 OnFailure on_failure);

// Cancels the action that the step's run had begun, as far as it still runs; for compensations.
void CancelRun(const operations::StepContext& context, AgentDirectory& agents);

// The same on a named host, with the agent's answer: the action as it stands now, NOT_FOUND when it
// was never begun, UNAVAILABLE while the host is away.
absl::StatusOr<v1::Action> CancelThere(const operations::StepContext& context,
                                       AgentDirectory& agents, const std::string& host);

// Whether that step of the operation was ever begun.
bool HasBegun(const state::v1::OperationRecord& record, absl::string_view step);

// How the step's own action ended, for a compensation whose work depends on it.
struct ActionEnd {
  // Set while nobody can tell: what the compensation answers meanwhile. The rest is unset then.
  std::optional<operations::StepResult> wait;
  // False when the host was never asked.
  bool begun = false;
  v1::Action action;
};
// Cancels the action on that host when it runs. `waiting` is shown until it has ended.
ActionEnd EndThere(const operations::StepContext& context, AgentDirectory& agents,
                   const std::string& host, const std::string& waiting);

}  // namespace mtp
