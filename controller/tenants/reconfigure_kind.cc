// reconfigure: start-container → soak → settle. Other secrets, environment or port of a tenant, by
// a new container on the same data.
//
// Nothing in the tenant's record changes before `settle`, so undoing is the host's matter alone: it
// gets the former settings again. What the operation holds besides (the new secrets, a claim on a
// new bot) goes with its end, whatever that is. `settle` makes the new ones the tenant's own, frees
// its former bot, and puts them in the place of the former ones in its backups, which a restore
// takes them from: in one transaction, after which the store has the former ones nowhere.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <optional>

#include "common/base/durations.h"
#include "common/base/status.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/secrets.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// Said by the agent: from when on the tenant may not be as it was, and that the host has the
// settings of the action.
constexpr char kContainerBefore[] = "container_before";
constexpr char kTakenIn[] = "taken_in";
constexpr absl::Duration kRecheck = absl::Seconds(2);
// Starts with the former settings that are tried before the operation ends and says so. The host
// has them by then, and its agent goes on by itself.
constexpr int kMaxStarts = 3;

bool Changes(const StepContext& context) { return !context.Fact(kChangedFact).empty(); }
bool IsKept(const StepContext& context) { return context.Fact(kKeepFact) == "true"; }
StepResult NothingToDo() { return StepResult::Done("it has these settings already"); }

// The spec that is asked for: the operation's input.
absl::StatusOr<v1::TenantSpec> NextSpec(const StepContext& context) {
  v1::TenantSpec spec;
  if (spec.ParseFromString(context.record().input())) return spec;
  return absl::DataLossError("the operation's input cannot be read");
}

// Of a spec only what this kind changes.
void TakeOver(const v1::TenantSpec& next, v1::TenantSpec* spec) {
  *spec->mutable_environment() = next.environment();
  spec->set_port_unpublished(next.port_unpublished());
}

absl::StatusOr<v1::EnsureActionRequest> FormerRequest(const TenantClients& clients,
                                                      const std::string& tenant) {
  const Tables tables(clients.store);
  MTP_ASSIGN_OR_RETURN(const auto row, tables.tenants.Get(tenant));
  v1::EnsureActionRequest request;
  v1::ReconfigureTenantAction& action = *request.mutable_reconfigure();
  *action.mutable_spec() = row.value.resolved();
  action.set_port(row.value.port());
  MTP_ASSIGN_OR_RETURN(*action.mutable_secrets(),
                       ReadTenantSecrets(*clients.box, tables.secrets, tenant));
  return request;
}

absl::StatusOr<v1::EnsureActionRequest> NextRequest(const TenantClients& clients,
                                                    const StepContext& context) {
  const Tables tables(clients.store);
  const std::string tenant = TenantOf(context);
  MTP_ASSIGN_OR_RETURN(v1::EnsureActionRequest request, FormerRequest(clients, tenant));
  v1::ReconfigureTenantAction& action = *request.mutable_reconfigure();
  MTP_ASSIGN_OR_RETURN(const v1::TenantSpec next, NextSpec(context));
  TakeOver(next, action.mutable_spec());
  MTP_ASSIGN_OR_RETURN(*action.mutable_secrets(),
                       ReadTenantSecrets(*clients.box, tables.next_secrets, tenant));
  // One whose new settings stay is on its own from the start.
  action.set_probation(!IsKept(context));
  return request;
}

// What failed on the host is not undone where the operator has said so, once the host has it.
StepResult Keep(const TenantClients& clients, StepContext& context, StepResult failed) {
  const auto action =
      clients.agents->CancelAction(context.record().operation().host(), context.key());
  if (absl::IsNotFound(action.status())) return failed;
  if (!action.ok()) {
    return StepResult::Wait(kRecheck,
                            absl::StrCat("waiting: ", std::string(action.status().message())));
  }
  if (action->result().count(kTakenIn) == 0) return failed;
  const std::string why(failed.status.message());
  context.SetResult("not_ready", why);
  return StepResult::Done(absl::StrCat("the new settings stay, as was asked for: ", why));
}

StepResult Start(const TenantClients& clients, StepContext& context) {
  if (!Changes(context)) return NothingToDo();
  auto request = NextRequest(clients, context);
  if (!request.ok()) return StepResult::Fail(request.status());
  StepResult result = RunOnHost(context, Tables(clients.store), *clients.agents,
                                *std::move(request), OnFailure::kFail);
  if (result.kind != StepResult::Kind::kFail || !IsKept(context)) return result;
  return Keep(clients, context, std::move(result));
}

// After so many failures: set when the host has the former settings at least, or cannot be asked.
std::optional<StepResult> GiveUp(const TenantClients& clients, const StepContext& context,
                                 int failures) {
  if (failures < kMaxStarts) return std::nullopt;
  const std::string& host = context.record().operation().host();
  const auto row = Tables(clients.store).tenants.Get(TenantOf(context));
  if (!row.ok()) return std::nullopt;
  const auto last = clients.agents->CancelAction(
      host, ActionKey(context, {host, row->value.epoch()}, failures - 1));
  if (absl::IsNotFound(last.status())) return std::nullopt;
  if (!last.ok()) {
    return StepResult::Wait(kRecheck,
                            absl::StrCat("waiting: ", std::string(last.status().message())));
  }
  if (last->result().count(kTakenIn) == 0) return std::nullopt;
  return StepResult::Fail(absl::FailedPreconditionError(
      absl::StrCat("its former settings are back, and it is not ready with them either: ",
                   last->error().message(), "; its host tries on")));
}

StepResult BringBack(const TenantClients& clients, StepContext& context) {
  if (!Changes(context)) return StepResult::Done();
  const ActionEnd end = EndThere(context, *clients.agents, context.record().operation().host(),
                                 "waiting until what goes on has ended");
  if (end.wait) return *end.wait;
  if (!end.begun || end.action.result().count(kContainerBefore) == 0) {
    return StepResult::Done("its host had changed nothing yet");
  }
  if (auto given_up = GiveUp(clients, context, RoundsFailed(context))) return *given_up;
  auto request = FormerRequest(clients, TenantOf(context));
  if (absl::IsNotFound(request.status())) return StepResult::Done("nothing left to do");
  if (!request.ok()) return StepResult::Retry(request.status());
  StepResult result = RunOnHost(context, Tables(clients.store), *clients.agents,
                                *std::move(request), OnFailure::kTryAgain);
  if (result.kind == StepResult::Kind::kDone) result.note = "its former settings are back";
  return result;
}

StepResult Soak(const TenantClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Fail(row.status());
  if (!Changes(context) || IsKept(context) ||
      row->value.resolved().run_policy() == v1::RUN_POLICY_STOP) {
    return StepResult::Done("left out");
  }
  int64_t soak_s = 0;
  if (!absl::SimpleAtoi(context.Fact(kSettledAfterFact), &soak_s)) soak_s = 0;
  v1::EnsureActionRequest request;
  *request.mutable_soak()->mutable_duration() = ToDuration(absl::Seconds(soak_s));
  return RunOnHost(context, tables, *clients.agents, std::move(request), OnFailure::kFail);
}

// In every backup that has a former one. What cannot be opened holds nothing for anybody.
absl::Status ReplaceInBackups(const TenantClients& clients, const std::string& tenant,
                              const v1::TenantSecrets& before, const v1::TenantSecrets& after,
                              kv::Txn& txn) {
  const Tables tables(clients.store);
  MTP_ASSIGN_OR_RETURN(auto rows, tables.backups.List());
  for (auto& row : rows) {
    if (row.value.backup().tenant() != tenant) continue;
    const std::string key = tables.backups.Key(row.id);
    auto secrets = OpenTenantSecrets(*clients.box, row.value.sealed_secrets(), key);
    if (!secrets.ok() || !ReplaceSecrets(before, after, &*secrets)) continue;
    row.value.set_sealed_secrets(SealTenantSecrets(*clients.box, *secrets, key));
    txn.RequireRevision(key, row.revision);
    tables.backups.Put(txn, row.id, row.value);
  }
  return absl::OkStatus();
}

// The new secrets are the tenant's, and the former ones nobody's. Whether they differ.
absl::StatusOr<bool> SettleSecrets(const TenantClients& clients, const std::string& tenant,
                                   kv::Txn& txn) {
  const Tables tables(clients.store);
  MTP_ASSIGN_OR_RETURN(const auto before, ReadTenantSecrets(*clients.box, tables.secrets, tenant));
  MTP_ASSIGN_OR_RETURN(const auto after,
                       ReadTenantSecrets(*clients.box, tables.next_secrets, tenant));
  if (ChangedSecrets(before, after).empty()) return false;
  state::v1::SecretsRecord record;
  record.set_sealed(SealTenantSecrets(*clients.box, after, tables.secrets.Key(tenant)));
  tables.secrets.Put(txn, tenant, record);
  txn.LeaveNoTrace();
  MTP_RETURN_IF_ERROR(ReplaceInBackups(clients, tenant, before, after, txn));
  return true;
}

StepResult Settle(const TenantClients& clients, StepContext& context) {
  context.SetResult(kChangedFact, context.Fact(kChangedFact));
  if (!Changes(context)) return NothingToDo();
  const Tables tables(clients.store);
  auto row = tables.tenants.Get(TenantOf(context));
  if (!row.ok()) return StepResult::Retry(row.status());
  const auto next = NextSpec(context);
  if (!next.ok()) return StepResult::Retry(next.status());
  TakeOver(*next, row->value.mutable_spec());
  TakeOver(*next, row->value.mutable_resolved());
  if (const std::string bot = context.Fact(kNewBotFact); !bot.empty()) {
    row->value.set_bot_fingerprint(bot);
  }
  const auto secrets = SettleSecrets(clients, row->id, context.txn());
  if (!secrets.ok()) return StepResult::Retry(secrets.status());
  if (*secrets) {
    *row->value.mutable_secret_change_time() = context.record().operation().create_time();
  }
  const absl::Status bots =
      KeepOnlyBot(tables, row->id, row->value.bot_fingerprint(), context.txn());
  if (!bots.ok()) return StepResult::Retry(bots);
  context.txn().RequireRevision(tables.tenants.Key(row->id), row->revision);
  tables.tenants.Put(context.txn(), row->id, row->value);
  return StepResult::Done();
}

// Whatever the end: what was to be and is not, and a bot that is not the tenant's.
void Tidy(const TenantClients& clients, const state::v1::OperationRecord& ended, kv::Txn& txn) {
  const Tables tables(clients.store);
  const std::string tenant(TenantOf(ended));
  if (tables.next_secrets.Get(tenant).ok()) {
    txn.Delete(tables.next_secrets.Key(tenant)).LeaveNoTrace();
  }
  const auto row = tables.tenants.Get(tenant);
  if (!row.ok()) return;
  KeepOnlyBot(tables, tenant, row->value.bot_fingerprint(), txn).IgnoreError();
}

}  // namespace

operations::Kind ReconfigureKind(TenantClients clients) {
  operations::Kind kind;
  kind.name = "reconfigure";
  kind.steps.push_back(
      {"start-container", [clients](StepContext& context) { return Start(clients, context); },
       [clients](StepContext& context) { return BringBack(clients, context); }, true});
  kind.steps.push_back({"soak", [clients](StepContext& context) { return Soak(clients, context); },
                        [clients](StepContext& context) {
                          CancelRun(context, *clients.agents);
                          return StepResult::Done();
                        },
                        true});
  kind.steps.push_back({"settle",
                        [clients](StepContext& context) { return Settle(clients, context); },
                        nullptr, false});
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    Tidy(clients, ended, txn);
  };
  return kind;
}

}  // namespace mtp
