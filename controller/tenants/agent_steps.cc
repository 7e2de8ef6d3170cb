#include "controller/tenants/agent_steps.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/base/status.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// An event that was lost is found this late.
constexpr absl::Duration kRecheck = absl::Seconds(20);
constexpr absl::Duration kBusyRecheck = absl::Seconds(2);
constexpr absl::Duration kNextRound = absl::Seconds(10);
// An action that is being cancelled is looked at again this soon.
constexpr absl::Duration kCancelRecheck = absl::Seconds(2);

StepResult FromCallError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      // The host's return wakes the operation.
      return StepResult::Wait(kRecheck, absl::StrCat("waiting: ", std::string(status.message())));
    case absl::StatusCode::kAborted:
      return StepResult::Wait(kBusyRecheck,
                              absl::StrCat("waiting: ", std::string(status.message())));
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kNotFound:
      return StepResult::Fail(status);
    default:
      return StepResult::Retry(status);
  }
}

void KeepResults(StepContext& context, const v1::Action& action) {
  for (const auto& [name, value] : action.result()) {
    if (context.record().facts().count(name) == 0) context.SetFact(name, value);
    context.SetResult(name, value);
  }
}

// Placed anew since the operation was created, as far as it has noted how it was.
bool IsAnew(const StepContext& context, const ActionPlace& place) {
  const std::string before = context.Fact(kPlacementFact);
  return !before.empty() && place.epoch != 0 && absl::StrCat(place.epoch) != before;
}

std::string RoundFact(const StepContext& context) { return "round " + context.key(); }

}  // namespace

absl::string_view TenantOf(const state::v1::OperationRecord& record) {
  return absl::StripPrefix(record.operation().target(), "tenants/");
}

std::string FactOf(const state::v1::OperationRecord& record, const std::string& name) {
  const auto fact = record.facts().find(name);
  return fact == record.facts().end() ? "" : fact->second;
}

std::string TenantOf(const StepContext& context) { return std::string(TenantOf(context.record())); }

int RoundsFailed(const StepContext& context) {
  int round = 0;
  return absl::SimpleAtoi(context.Fact(RoundFact(context)), &round) ? round : 0;
}

std::string ActionKey(const StepContext& context, const ActionPlace& place, int rounds_failed) {
  std::string key = context.key();
  if (IsAnew(context, place)) absl::StrAppend(&key, "/placement-", place.epoch);
  if (rounds_failed > 0) absl::StrAppend(&key, "/", rounds_failed + 1);
  return key;
}

StepResult RunThere(StepContext& context, AgentDirectory& agents, const ActionPlace& place,
                    v1::EnsureActionRequest request, OnFailure on_failure) {
  const int round = RoundsFailed(context);
  request.set_key(ActionKey(context, place, round));
  request.set_epoch(place.epoch);
  auto action = agents.EnsureAction(place.host, request);
  if (!action.ok()) return FromCallError(action.status());
  const absl::Status failure = action->has_error() ? FromError(action->error())
                                                   : absl::UnknownError("failed without a reason");
  switch (action->state()) {
    case v1::ACTION_STATE_RUNNING:
      return StepResult::Wait(kRecheck, action->message());
    case v1::ACTION_STATE_DONE:
      KeepResults(context, *action);
      return StepResult::Done(action->message());
    case v1::ACTION_STATE_FAILED:
    case v1::ACTION_STATE_CANCELLED:
      if (on_failure == OnFailure::kFail)
        return StepResult::Fail(Annotate(failure, "on host " + place.host));
      context.SetFact(RoundFact(context), absl::StrCat(round + 1));
      return StepResult::Wait(kNextRound,
                              absl::StrCat("will try again: ", std::string(failure.message())));
    default:
      return StepResult::Retry(absl::UnknownError(
          absl::StrCat("host ", place.host,
                       " answered with an action state that this controller does not know")));
  }
}

StepResult RunOnHost(StepContext& context, const Tables& tables, AgentDirectory& agents,
                     v1::EnsureActionRequest request, OnFailure on_failure) {
  const std::string tenant = TenantOf(context);
  auto row = tables.tenants.Get(tenant);
  if (absl::IsNotFound(row.status())) return StepResult::Done("nothing left to do");
  if (!row.ok()) return StepResult::Retry(row.status());
  const std::string& host = context.record().operation().host();
  if (row->value.host() != host) {
    return StepResult::Wait(kBusyRecheck, absl::StrCat("waiting: tenant ", tenant, " is on host ",
                                                       row->value.host(), ", not on host ", host));
  }
  const ActionPlace place{host, row->value.epoch()};
  if (IsAnew(context, place) && !absl::EndsWith(context.key(), "/undo")) {
    return StepResult::Fail(absl::FailedPreconditionError(
        absl::StrCat("host ", host, " was lost in the middle of it, and tenant ", tenant,
                     " could not be placed elsewhere meanwhile")));
  }
  request.set_tenant(tenant);
  return RunThere(context, agents, place, std::move(request), on_failure);
}

absl::StatusOr<v1::Action> CancelThere(const StepContext& context, AgentDirectory& agents,
                                       const std::string& host) {
  return agents.CancelAction(host, std::string(absl::StripSuffix(context.key(), "/undo")));
}

bool HasBegun(const state::v1::OperationRecord& record, absl::string_view step) {
  const auto& steps = record.operation().steps();
  return std::any_of(steps.begin(), steps.end(), [&](const v1::OperationStep& one) {
    return one.name() == step && one.attempts() > 0;
  });
}

ActionEnd EndThere(const StepContext& context, AgentDirectory& agents, const std::string& host,
                   const std::string& waiting) {
  auto action = CancelThere(context, agents, host);
  if (absl::IsNotFound(action.status())) return {};
  if (!action.ok()) {
    return {StepResult::Wait(kCancelRecheck,
                             absl::StrCat("waiting: ", std::string(action.status().message())))};
  }
  if (action->state() == v1::ACTION_STATE_RUNNING) {
    return {StepResult::Wait(kCancelRecheck, waiting)};
  }
  return {std::nullopt, true, *std::move(action)};
}

void CancelRun(const StepContext& context, AgentDirectory& agents) {
  // An action that cannot be reached or has ended is waited for by the compensation itself.
  (void)CancelThere(context, agents, context.record().operation().host()).status();
}

}  // namespace mtp
