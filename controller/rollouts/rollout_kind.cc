// rollout: resolve → waves → finish. What is decided is in waves.cc; here it is made durable and
// carried out.
//
// That a tenant is to begin is stored in the rollout's record before its update is created, with a
// compare of the record: who pauses has therefore seen everything that still begins. The update is
// found again by its request id, so a death in between neither loses nor doubles it.
#include "controller/rollouts/rollout_kind.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>

#include "controller/backups/catalogue.h"
#include "controller/operations/keys.h"
#include "controller/rollouts/resolve.h"
#include "controller/rollouts/waves.h"

namespace mtp {
namespace {

using google::protobuf::util::MessageDifferencer;
using operations::StepContext;
using operations::StepResult;

constexpr absl::string_view kCallerPrefix = "rollout/";
// A wake that was lost is found this late.
constexpr absl::Duration kRecheck = absl::Seconds(20);
// Nothing tells when another operation lets a tenant go.
constexpr absl::Duration kBusyRecheck = absl::Seconds(2);
// Looks in a row; each begins updates or finds the record changed by somebody else.
constexpr int kMaxLooks = 16;
// Refusals of the same tenant in a row: what it was refused for may have passed when it is looked
// for.
constexpr int kMaxRefusals = 3;

using RolloutRow = kv::Row<state::v1::RolloutRecord>;

// ULID of the operation that updates the tenant; empty when there is none.
std::string ChildOf(const kv::Store& store, const std::string& id,
                    const v1::RolloutTenant& tenant) {
  if (!tenant.operation().empty()) {
    return std::string(absl::StripPrefix(tenant.operation(), "operations/"));
  }
  const auto entry = store.Get(operations::RequestKey(RolloutCaller(id), tenant.tenant()));
  state::v1::RequestRecord request;
  if (!entry.ok() || !request.ParseFromString(entry->value)) return "";
  return request.operation();
}

// What holds the tenant, in words; empty when nothing does.
std::string Holder(const RolloutClients& clients, const std::string& tenant) {
  const auto lock = clients.store->Get(TenantLock(tenant));
  state::v1::LockRecord record;
  if (!lock.ok() || !record.ParseFromString(lock->value)) return "";
  const auto holder = clients.engine->Get(record.operation());
  return absl::StrCat("operation ", record.operation(),
                      holder.ok() ? absl::StrCat(" (", holder->kind(), ")") : "", " on it goes on");
}

Surroundings LookAround(const RolloutClients& clients, const std::string& id,
                        const v1::Rollout& rollout) {
  const Tables tables(clients.store);
  Surroundings around;
  around.meant_to_run = MeantToRun(tables);
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING &&
        tenant.state() != v1::ROLLOUT_TENANT_STATE_UPDATING) {
      continue;
    }
    const std::string& name = tenant.tenant();
    if (const std::string child = ChildOf(*clients.store, id, tenant); !child.empty()) {
      if (auto operation = clients.engine->Get(child); operation.ok()) {
        around.children[name] = *std::move(operation);
      } else {
        around.refused[name] = "the record of its update is gone; look at it with `mtp-cli status`";
      }
      continue;
    }
    if (std::string why = WhyLeftAlone(tables, name, tenant.to_image()); !why.empty()) {
      around.skips[name] = std::move(why);
    } else if (std::string holder = Holder(clients, name); !holder.empty()) {
      around.busy[name] = std::move(holder);
    }
  }
  return around;
}

// Makes `rollout` durable in the place of what `row` holds; nothing when that is the same. ABORTED
// when somebody else has changed it.
absl::Status Store(const RolloutClients& clients, const RolloutRow& row,
                   const v1::Rollout& rollout) {
  if (MessageDifferencer::Equals(row.value.rollout(), rollout)) return absl::OkStatus();
  const Tables tables(clients.store);
  state::v1::RolloutRecord record = row.value;
  *record.mutable_rollout() = rollout;
  kv::Txn txn;
  txn.RequireRevision(tables.rollouts.Key(row.id), row.revision);
  tables.rollouts.Put(txn, row.id, record);
  return clients.store->Commit(txn).status();
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsInternal(status) ||
         absl::IsResourceExhausted(status) || absl::IsDeadlineExceeded(status);
}

// Updates that could not be begun in this run of the step.
struct Refusals {
  std::map<std::string, int> counts;
  std::map<std::string, std::string> reasons;  // of those that are given up
};

// The first fault that may pass ends it.
absl::Status BeginAll(const RolloutClients& clients, const std::string& id, const Move& move,
                      Refusals& refusals) {
  for (const std::string& name : move.begin) {
    const auto& tenants = move.rollout.tenants();
    const auto tenant = std::find_if(tenants.begin(), tenants.end(),
                                     [&](const auto& one) { return one.tenant() == name; });
    const absl::Status begun =
        clients.begin(RolloutCaller(id), name, name, move.rollout.settings(), tenant->to_image())
            .status();
    if (begun.ok()) continue;
    if (MayPass(begun)) return begun;
    if (++refusals.counts[name] < kMaxRefusals) continue;
    refusals.reasons[name] = absl::StrCat(std::string(begun.message()), "; it was not touched");
  }
  return absl::OkStatus();
}

StepResult Waves(const RolloutClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const std::string id = OperationIdOf(context);
  Refusals refusals;
  for (int look = 0; look < kMaxLooks; ++look) {
    const auto row = tables.rollouts.Get(id);
    if (!row.ok()) return StepResult::Fail(row.status());
    if (row->value.rollout().state() == v1::ROLLOUT_STATE_ABORTING) {
      return CancelItself(clients, id);
    }
    Surroundings around = LookAround(clients, id, row->value.rollout());
    around.refused.insert(refusals.reasons.begin(), refusals.reasons.end());
    const Move move = NextMove(row->value.rollout(), around);
    const absl::Status stored = Store(clients, *row, move.rollout);
    if (absl::IsAborted(stored)) continue;
    if (!stored.ok()) return StepResult::Retry(stored);
    if (!move.begin.empty()) {
      const absl::Status begun = BeginAll(clients, id, move, refusals);
      if (!begun.ok()) return StepResult::Retry(begun);
      continue;
    }
    switch (move.kind) {
      case Move::Kind::kWait:
        return StepResult::Wait(around.busy.empty() ? kRecheck : kBusyRecheck,
                                move.rollout.message());
      case Move::Kind::kFail:
        return StepResult::Fail(absl::FailedPreconditionError(DescribeFailures(move.rollout)));
      case Move::Kind::kDone:
        return StepResult::Done(move.rollout.message());
    }
  }
  return StepResult::Wait(absl::ZeroDuration());
}

// Cancels the updates that go on and waits until they have ended.
StepResult BringBack(const RolloutClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const std::string id = OperationIdOf(context);
  const auto row = tables.rollouts.Get(id);
  if (!row.ok()) return StepResult::Done();
  v1::Rollout rollout = row->value.rollout();
  Follow(LookAround(clients, id, rollout), rollout);
  std::vector<std::string> going_on;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.state() == v1::ROLLOUT_TENANT_STATE_UPDATING) going_on.push_back(tenant.operation());
  }
  if (!going_on.empty()) rollout.set_state(v1::ROLLOUT_STATE_ABORTING);
  rollout.set_message(DescribeProgress(rollout));
  const absl::Status stored = Store(clients, *row, rollout);
  if (absl::IsAborted(stored)) return StepResult::Wait(absl::ZeroDuration());
  if (!stored.ok()) return StepResult::Retry(stored);
  if (going_on.empty()) return StepResult::Done();
  for (const std::string& child : going_on) {
    // One that cannot be cancelled any more ends by itself.
    (void)clients.engine->Cancel(std::string(absl::StripPrefix(child, "operations/"))).status();
  }
  return StepResult::Wait(kRecheck, "tenants in the middle are being brought back");
}

StepResult Finish(const RolloutClients& clients, StepContext& context) {
  const auto row = Tables(clients.store).rollouts.Get(OperationIdOf(context));
  if (!row.ok()) return StepResult::Done();
  int updated = 0, skipped = 0;
  for (const v1::RolloutTenant& tenant : row->value.rollout().tenants()) {
    updated += tenant.state() == v1::ROLLOUT_TENANT_STATE_UPDATED ? 1 : 0;
    skipped += tenant.state() == v1::ROLLOUT_TENANT_STATE_SKIPPED ? 1 : 0;
  }
  context.SetResult("updated", absl::StrCat(updated));
  context.SetResult("skipped", absl::StrCat(skipped));
  return StepResult::Done(row->value.rollout().message());
}

v1::RolloutState EndState(v1::OperationState state) {
  if (state == v1::OPERATION_STATE_SUCCEEDED) return v1::ROLLOUT_STATE_SUCCEEDED;
  return state == v1::OPERATION_STATE_CANCELLED ? v1::ROLLOUT_STATE_ABORTED
                                                : v1::ROLLOUT_STATE_FAILED;
}

// Becomes true with the operation's end.
void OnEnd(const RolloutClients& clients, const state::v1::OperationRecord& ended, kv::Txn& txn) {
  const Tables tables(clients.store);
  const v1::Operation& operation = ended.operation();
  const auto row =
      tables.rollouts.Get(std::string(absl::StripPrefix(operation.name(), "operations/")));
  if (!row.ok()) return;
  state::v1::RolloutRecord record = row->value;
  v1::Rollout& rollout = *record.mutable_rollout();
  rollout.set_state(EndState(operation.state()));
  *rollout.mutable_end_time() = operation.end_time();
  rollout.set_message(DescribeProgress(rollout));
  if (rollout.state() == v1::ROLLOUT_STATE_FAILED) {
    *rollout.mutable_error() = operation.error();
    const std::string failures = DescribeFailures(rollout);
    if (!failures.empty()) rollout.mutable_error()->set_message(failures);
  }
  txn.RequireRevision(tables.rollouts.Key(row->id), row->revision);
  tables.rollouts.Put(txn, row->id, record);
}

}  // namespace

std::string RolloutCaller(const std::string& id) { return absl::StrCat(kCallerPrefix, id); }

StepResult CancelItself(const RolloutClients& clients, const std::string& id) {
  const absl::Status asked = clients.engine->Cancel(id).status();
  return asked.ok() ? StepResult::Wait(kRecheck, "is being aborted") : StepResult::Retry(asked);
}

std::string WhyLeftAlone(const Tables& tables, const std::string& tenant,
                         const std::string& image) {
  const auto row = tables.tenants.Get(tenant);
  if (absl::IsNotFound(row.status())) return "it is gone";
  if (!row.ok()) return "";  // its update says what is wrong with it
  if (row->value.spec().run_policy() == v1::RUN_POLICY_STOP) {
    return "it is stopped; start it, then update it";
  }
  if (!row->value.provisioned()) return "its first start has not succeeded yet";
  const bool has_it = row->value.pinned() && row->value.resolved().image() == image;
  return has_it ? "it has the image already" : "";
}

int MeantToRun(const Tables& tables) {
  const auto rows = tables.tenants.List();
  if (!rows.ok()) return 0;
  return static_cast<int>(std::count_if(rows->begin(), rows->end(), [](const auto& row) {
    return row.value.spec().run_policy() != v1::RUN_POLICY_STOP;
  }));
}

absl::StatusOr<std::unique_ptr<kv::Watch>> WakeRollouts(kv::Store* store,
                                                        operations::Engine* engine) {
  return store->WatchPrefix(
      operations::kOperationsPrefix, store->Revision(),
      [engine](const std::vector<kv::Event>& events) {
        for (const kv::Event& event : events) {
          state::v1::OperationRecord record;
          if (event.kind != kv::Event::Kind::kPut || !record.ParseFromString(event.entry.value)) {
            continue;
          }
          absl::string_view caller = record.operation().created_by();
          if (absl::ConsumePrefix(&caller, kCallerPrefix)) engine->Wake(std::string(caller));
        }
      });
}

operations::Kind RolloutKind(const RolloutClients& clients) {
  operations::Kind kind;
  kind.name = "rollout";
  kind.steps.push_back(
      {"resolve", [clients](StepContext& context) { return ResolveImages(clients, context); },
       [clients](StepContext& context) { return StopResolving(clients, context); }, true});
  kind.steps.push_back(
      {"waves", [clients](StepContext& context) { return Waves(clients, context); },
       [clients](StepContext& context) { return BringBack(clients, context); }, true});
  kind.steps.push_back({"finish",
                        [clients](StepContext& context) { return Finish(clients, context); },
                        nullptr, false});
  kind.on_end = [clients](const state::v1::OperationRecord& ended, kv::Txn& txn) {
    OnEnd(clients, ended, txn);
  };
  return kind;
}

}  // namespace mtp
