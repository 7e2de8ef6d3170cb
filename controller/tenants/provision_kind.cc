// provision: reserve → start-container → activate. Reservation and claims are taken in the
// transaction that creates the operation; the first step exists so that they are released when the
// rest fails.
#include <absl/strings/numbers.h>

#include "controller/tenants/agent_steps.h"
#include "controller/tenants/apply_step.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult Release(const TenantClients& clients, StepContext& context) {
  const absl::Status status =
      ReleaseClaims(Tables(clients.store), TenantOf(context), context.txn());
  return status.ok() ? StepResult::Done() : StepResult::Retry(status);
}

v1::KeptData KeptDataOf(const StepContext& context) {
  int number = 0;
  if (!absl::SimpleAtoi(context.Fact(kKeptDataFact), &number) || !v1::KeptData_IsValid(number)) {
    return v1::KEPT_DATA_UNSPECIFIED;
  }
  return static_cast<v1::KeptData>(number);
}

StepResult TakeOffHost(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  CancelRun(context, *clients.agents);
  v1::EnsureActionRequest request;
  // Data that was there before stays; a fresh folder has nothing that a client wrote.
  request.mutable_remove()->set_keep_data(KeptDataOf(context) == v1::KEPT_DATA_USE);
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kTryAgain);
}

}  // namespace

operations::Kind ProvisionKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "provision";
  kind.steps.push_back({"reserve", [](StepContext&) { return StepResult::Done(); },
                        [clients](StepContext& context) { return Release(clients, context); },
                        false});
  kind.steps.push_back({"start-container",
                        [clients](StepContext& context) {
                          return ApplyOnHost(clients, context, KeptDataOf(context));
                        },
                        [clients](StepContext& context) { return TakeOffHost(clients, context); },
                        true});
  kind.steps.push_back({"activate",
                        [clients](StepContext& context) { return Activate(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
