// set: reserve → limit → settle. The transaction that creates the operation changes the tenant's
// record and takes what more it reserves; `reserve` exists so that this is put back when the rest
// fails. What is reserved less is only given up at the end, so that putting it back never takes
// what another tenant has been promised meanwhile.
#include <absl/strings/str_cat.h>

#include "controller/tenants/agent_steps.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// The tenant as it was before: the operation's input.
absl::StatusOr<state::v1::TenantRecord> Before(const StepContext& context) {
  state::v1::TenantRecord before;
  if (before.ParseFromString(context.record().input())) return before;
  return absl::DataLossError("the operation's input cannot be read");
}

StepResult PutBack(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto before = Before(context);
  if (!before.ok()) return StepResult::Fail(before.status());
  auto row = tables.tenants.Get(TenantOf(context));
  if (absl::IsNotFound(row.status())) return StepResult::Done();
  if (!row.ok()) return StepResult::Retry(row.status());
  *row->value.mutable_spec() = before->spec();
  *row->value.mutable_resolved() = before->resolved();
  const absl::Status reserved = ChangeReservation(
      tables, row->value, before->resolved().memory_reservation_mib(), context.txn());
  if (!reserved.ok()) return StepResult::Retry(reserved);
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  return StepResult::Done();
}

StepResult Limit(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto before = Before(context);
  if (!before.ok()) return StepResult::Fail(before.status());
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  const int64_t limit_mib = row->value.resolved().memory_limit_mib();
  if (limit_mib == before->resolved().memory_limit_mib()) return StepResult::Done();
  v1::EnsureActionRequest request;
  request.mutable_limit()->set_memory_limit_mib(limit_mib);
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kFail);
}

StepResult UndoLimit(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto before = Before(context);
  if (!before.ok()) return StepResult::Fail(before.status());
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok() ||
      row->value.resolved().memory_limit_mib() == before->resolved().memory_limit_mib()) {
    return StepResult::Done();
  }
  CancelRun(context, *clients.agents);
  v1::EnsureActionRequest request;
  request.mutable_limit()->set_memory_limit_mib(before->resolved().memory_limit_mib());
  // One that uses more than that by now keeps what it has: the operation's error says so.
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kFail);
}

StepResult Settle(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  const v1::TenantSpec& resolved = row->value.resolved();
  const absl::Status reserved =
      ChangeReservation(tables, row->value, resolved.memory_reservation_mib(), context.txn());
  if (!reserved.ok()) return StepResult::Retry(reserved);
  context.SetResult("memory_reservation_mib", absl::StrCat(resolved.memory_reservation_mib()));
  context.SetResult("memory_limit_mib", absl::StrCat(resolved.memory_limit_mib()));
  return StepResult::Done();
}

}  // namespace

operations::Kind SetKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "set";
  // Not to be called off before it has begun: then nobody would put back what the operation's
  // creation took.
  kind.steps.push_back({"reserve", [](StepContext&) { return StepResult::Done(); },
                        [clients](StepContext& context) { return PutBack(clients, context); },
                        false});
  kind.steps.push_back(
      {"limit", [clients](StepContext& context) { return Limit(clients, context); },
       [clients](StepContext& context) { return UndoLimit(clients, context); }, true});
  kind.steps.push_back({"settle",
                        [clients](StepContext& context) { return Settle(clients, context); },
                        nullptr, false});
  return kind;
}

}  // namespace mtp
