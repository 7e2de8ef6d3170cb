// start, stop, restart: one action each. The run policy was set in the transaction that created the
// operation.
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/kinds.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

operations::Kind OneAction(std::string kind_name, std::string step_name, TenantClients clients,
                           void (*fill)(v1::EnsureActionRequest&)) {
  operations::Kind kind;
  kind.name = std::move(kind_name);
  kind.steps.push_back({std::move(step_name),
                        [clients, fill](StepContext& context) {
                          v1::EnsureActionRequest request;
                          fill(request);
                          return RunOnHost(context, Tables(clients.store), *clients.agents,
                                           std::move(request), OnFailure::kFail);
                        },
                        [clients](StepContext& context) {
                          CancelRun(context, *clients.agents);
                          return StepResult::Done();
                        },
                        true});
  return kind;
}

}  // namespace

operations::Kind StartKind(TenantClients clients) {
  return OneAction("start", "start-container", clients,
                   [](v1::EnsureActionRequest& r) { r.mutable_start(); });
}

operations::Kind StopKind(TenantClients clients) {
  return OneAction("stop", "stop-container", clients,
                   [](v1::EnsureActionRequest& r) { r.mutable_stop(); });
}

operations::Kind RestartKind(TenantClients clients) {
  return OneAction("restart", "restart-container", clients,
                   [](v1::EnsureActionRequest& r) { r.mutable_restart(); });
}

}  // namespace mtp
