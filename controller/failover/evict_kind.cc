#include "controller/failover/evict_kind.h"

#include <absl/strings/str_cat.h>

#include "controller/tenants/agent_steps.h"

namespace mtp::failover {
namespace {

using operations::StepContext;
using operations::StepResult;

StepResult TakeOff(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const std::string host = context.Fact(kEvictedFromFact);
  const std::string tenant = TenantOf(context);
  const auto eviction = tables.evictions.Get(EvictionId(host, tenant));
  if (absl::IsNotFound(eviction.status())) return StepResult::Done("nothing left to do");
  if (!eviction.ok()) return StepResult::Retry(eviction.status());
  if (absl::IsNotFound(tables.hosts.Get(host).status())) {
    return StepResult::Done(absl::StrCat("host ", host, " has left the fleet"));
  }
  const auto placed = tables.tenants.Get(tenant);
  if (placed.ok() && placed->value.host() == host) {
    return StepResult::Done(absl::StrCat("it is placed on host ", host, " again"));
  }
  v1::EnsureActionRequest request;
  request.set_tenant(tenant);
  request.mutable_remove()->set_keep_data(true);
  context.SetResult("kept_data", absl::StrCat(host, ":data/", tenant));
  return RunThere(context, *clients.agents, {host, eviction->value.epoch()}, std::move(request),
                  OnFailure::kTryAgain);
}

}  // namespace

operations::Kind EvictKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "evict";
  kind.steps.push_back({"take-off",
                        [clients](StepContext& context) { return TakeOff(clients, context); },
                        nullptr, false});
  // Whatever its end: a host that refuses has acted for a later placement of the tenant.
  kind.on_end = [clients](const state::v1::OperationRecord& record, kv::Txn& txn) {
    const Tables tables(clients.store);
    const std::string from = FactOf(record, kEvictedFromFact);
    if (from.empty()) return;
    txn.Delete(tables.evictions.Key(EvictionId(from, std::string(TenantOf(record)))));
  };
  return kind;
}

operations::NewOperation EvictOperation(const state::v1::EvictionRecord& eviction) {
  operations::NewOperation operation;
  operation.kind = "evict";
  operation.target = "tenants/" + eviction.tenant();
  operation.host = eviction.host();
  operation.created_by = "system/failover";
  operation.request_id =
      absl::StrCat("evict-", eviction.host(), "-", eviction.tenant(), "-", eviction.epoch());
  operation.facts[kEvictedFromFact] = eviction.host();
  operation.locks.push_back(EvictionLock(eviction.host(), eviction.tenant()));
  return operation;
}

}  // namespace mtp::failover
