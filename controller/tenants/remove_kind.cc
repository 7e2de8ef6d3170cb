// remove: stop → backup → remove-from-host → release. Up to the backup a failure brings the tenant
// back; after it there is no way back, and the rest is tried until it is done.
#include <absl/strings/str_cat.h>

#include "controller/tenants/agent_steps.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult Stop(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_stop();
  return RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                   OnFailure::kFail);
}

StepResult StartAgain(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  CancelRun(context, tables, *clients.agents);
  if (context.Fact(kWasRunningFact) != "true") return StepResult::Done();
  v1::EnsureActionRequest request;
  request.mutable_start();
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kFail);
}

StepResult Backup(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_backup()->set_backup_id(context.key().substr(0, context.key().find('/')));
  return RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                   OnFailure::kFail);
}

StepResult CancelBackup(const TenantClients& clients, StepContext& context) {
  CancelRun(context, Tables(clients.store), *clients.agents);
  return StepResult::Done();
}

StepResult TakeOffHost(const TenantClients& clients, StepContext& context) {
  v1::EnsureActionRequest request;
  request.mutable_remove()->set_keep_data(context.Fact(kKeepDataFact) == "true");
  return RunOnHost(context, Tables(clients.store), *clients.agents, std::move(request),
                   OnFailure::kTryAgain);
}

StepResult Release(const TenantClients& clients, StepContext& context) {
  const absl::Status status =
      ReleaseClaims(Tables(clients.store), TenantOf(context), context.txn());
  return status.ok() ? StepResult::Done() : StepResult::Retry(status);
}

}  // namespace

operations::Kind RemoveKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "remove";
  kind.steps.push_back({"stop", [clients](StepContext& context) { return Stop(clients, context); },
                        [clients](StepContext& context) { return StartAgain(clients, context); },
                        true});
  kind.steps.push_back(
      {"backup", [clients](StepContext& context) { return Backup(clients, context); },
       [clients](StepContext& context) { return CancelBackup(clients, context); }, true});
  kind.steps.push_back({"remove-from-host",
                        [clients](StepContext& context) { return TakeOffHost(clients, context); },
                        nullptr, false});
  kind.steps.push_back({"release",
                        [clients](StepContext& context) { return Release(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
