// set-failover: reserve → policy → settle. The transaction that creates the operation changes the
// tenant's record, so a tenant that is to stay is moved by nobody from that moment on. One that is
// to fail over may be moved only once its host has said that it runs under the lease: `leased` is
// set at the very end.
#include <absl/strings/str_cat.h>

#include "common/base/words.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/kinds.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// The policy before: the operation's input is the tenant's record.
absl::StatusOr<v1::TenantSpec> SpecBefore(const StepContext& context, bool resolved) {
  state::v1::TenantRecord before;
  if (!before.ParseFromString(context.record().input())) {
    return absl::DataLossError("the operation's input cannot be read");
  }
  return resolved ? before.resolved() : before.spec();
}

StepResult PutBack(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto spec = SpecBefore(context, /*resolved=*/false);
  if (!spec.ok()) return StepResult::Fail(spec.status());
  const auto resolved = SpecBefore(context, /*resolved=*/true);
  auto row = tables.tenants.Get(TenantOf(context));
  if (absl::IsNotFound(row.status())) return StepResult::Done();
  if (!row.ok()) return StepResult::Retry(row.status());
  row->value.mutable_spec()->set_failover_policy(spec->failover_policy());
  row->value.mutable_resolved()->set_failover_policy(resolved->failover_policy());
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  return StepResult::Done();
}

v1::EnsureActionRequest PolicyRequest(v1::FailoverPolicy policy) {
  v1::EnsureActionRequest request;
  request.mutable_set_failover()->set_policy(policy);
  return request;
}

StepResult SetPolicy(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  return RunOnHost(context, tables, *clients.agents,
                   PolicyRequest(row->value.resolved().failover_policy()), OnFailure::kFail);
}

StepResult UndoPolicy(const TenantClients& clients, StepContext& context) {
  const auto before = SpecBefore(context, /*resolved=*/true);
  if (!before.ok()) return StepResult::Fail(before.status());
  const Tables tables(clients.store);
  CancelRun(context, *clients.agents);
  return RunOnHost(context, tables, *clients.agents, PolicyRequest(before->failover_policy()),
                   OnFailure::kTryAgain);
}

StepResult Settle(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  const v1::FailoverPolicy policy = row->value.resolved().failover_policy();
  row->value.set_leased(policy == v1::FAILOVER_POLICY_FAILOVER &&
                        context.Fact(kLeaseFact) == kLeaseBound);
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  context.SetResult("failover_policy", std::string(FailoverName(policy)));
  return StepResult::Done();
}

}  // namespace

operations::Kind SetFailoverKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "set-failover";
  kind.steps.push_back({"reserve", [](StepContext&) { return StepResult::Done(); },
                        [clients](StepContext& context) { return PutBack(clients, context); },
                        false});
  kind.steps.push_back(
      {"policy", [clients](StepContext& context) { return SetPolicy(clients, context); },
       [clients](StepContext& context) { return UndoPolicy(clients, context); }, true});
  kind.steps.push_back({"settle",
                        [clients](StepContext& context) { return Settle(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
