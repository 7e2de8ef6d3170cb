// provision: reserve → start-container → activate. Reservation and claims are taken in the
// transaction that creates the operation; the first step exists so that they are released when the
// rest fails.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/tenants/agent_steps.h"
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

StepResult Apply(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const std::string tenant = TenantOf(context);
  auto row = tables.tenants.Get(tenant);
  if (!row.ok()) return StepResult::Fail(row.status());
  auto sealed = tables.secrets.Get(tenant);
  if (!sealed.ok()) return StepResult::Fail(sealed.status());
  auto plain = clients.box->Open(sealed->value.sealed(), tables.secrets.Key(tenant));
  if (!plain.ok()) return StepResult::Fail(Annotate(plain.status(), "the tenant's secrets"));
  v1::EnsureActionRequest request;
  v1::ApplyTenant& apply = *request.mutable_apply();
  *apply.mutable_spec() = row->value.resolved();
  apply.set_port(row->value.port());
  apply.set_kept_data(KeptDataOf(context));
  const absl::string_view bytes = plain->Reveal();
  if (!apply.mutable_secrets()->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return StepResult::Fail(absl::DataLossError("the tenant's secrets cannot be read"));
  }
  context.SetResult("host", row->value.host());
  context.SetResult("port", absl::StrCat(row->value.port()));
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kFail);
}

StepResult TakeOffHost(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  CancelRun(context, tables, *clients.agents);
  v1::EnsureActionRequest request;
  // Data that was there before stays; a fresh folder has nothing that a client wrote.
  request.mutable_remove()->set_keep_data(KeptDataOf(context) == v1::KEPT_DATA_USE);
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kTryAgain);
}

StepResult Activate(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  row->value.set_provisioned(true);
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  return StepResult::Done();
}

}  // namespace

operations::Kind ProvisionKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "provision";
  kind.steps.push_back({"reserve", [](StepContext&) { return StepResult::Done(); },
                        [clients](StepContext& context) { return Release(clients, context); },
                        false});
  kind.steps.push_back(
      {"start-container", [clients](StepContext& context) { return Apply(clients, context); },
       [clients](StepContext& context) { return TakeOffHost(clients, context); }, true});
  kind.steps.push_back({"activate",
                        [clients](StepContext& context) { return Activate(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
