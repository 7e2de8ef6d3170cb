#include "controller/tenants/apply_step.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/secrets.h"

namespace mtp {

using operations::StepContext;
using operations::StepResult;

absl::StatusOr<v1::EnsureActionRequest> ApplyRequest(const TenantClients& clients,
                                                     const std::string& tenant,
                                                     v1::KeptData kept_data) {
  const Tables tables(clients.store);
  MTP_ASSIGN_OR_RETURN(const auto row, tables.tenants.Get(tenant));
  v1::EnsureActionRequest request;
  v1::ApplyTenant& apply = *request.mutable_apply();
  *apply.mutable_spec() = row.value.resolved();
  apply.set_port(row.value.port());
  apply.set_kept_data(kept_data);
  MTP_ASSIGN_OR_RETURN(*apply.mutable_secrets(),
                       ReadTenantSecrets(*clients.box, tables.secrets, tenant));
  return request;
}

StepResult ApplyOnHost(const TenantClients& clients, StepContext& context, v1::KeptData kept_data) {
  const Tables tables(clients.store);
  const std::string tenant = TenantOf(context);
  auto request = ApplyRequest(clients, tenant, kept_data);
  if (!request.ok()) return StepResult::Fail(request.status());
  auto row = tables.tenants.Get(tenant);
  if (!row.ok()) return StepResult::Fail(row.status());
  context.SetResult("host", row->value.host());
  context.SetResult("port", absl::StrCat(row->value.port()));
  return RunOnHost(context, tables, *clients.agents, *std::move(request), OnFailure::kFail);
}

StepResult Activate(const TenantClients& clients, StepContext& context,
                    const std::string& restored_from) {
  const Tables tables(clients.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  row->value.set_provisioned(true);
  row->value.set_leased(row->value.resolved().failover_policy() == v1::FAILOVER_POLICY_FAILOVER &&
                        context.Fact(kLeaseFact) == kLeaseBound);
  if (!restored_from.empty()) NoteRestored(restored_from, row->value);
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  return StepResult::Done();
}

void NoteRestored(const std::string& backup, state::v1::TenantRecord& tenant) {
  tenant.set_restored_from(backup);
  tenant.clear_first_backup();
}

}  // namespace mtp
