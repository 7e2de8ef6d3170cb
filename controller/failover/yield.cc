#include "controller/failover/yield.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "controller/operations/look_first.h"
#include "controller/state/tables.h"
#include "controller/tenants/agent_steps.h"

namespace mtp::failover {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr std::array kYielding = {"update", "reconfigure"};
// The end of the other operation wakes this one.
constexpr absl::Duration kRecheck = absl::Seconds(20);

// Who has the tenant's lock.
enum class Lock { kOwn, kLent, kOther };

Lock LockOf(const Tables& tables, StepContext& context, const std::string& tenant) {
  const std::string& own = context.record().operation().name();
  const auto lock = tables.locks.Get("tenants/" + tenant);
  if (!lock.ok()) return Lock::kOther;
  if (absl::StrCat("operations/", lock->value.operation()) == own) {
    // What the step changes in the store becomes true only while it has the lock.
    context.txn().RequireRevision(TenantLock(tenant), lock->revision);
    return Lock::kOwn;
  }
  const auto holder = tables.operations.Get(lock->value.operation());
  const bool lent = holder.ok() && absl::StrCat("operations/", holder->value.lender()) == own;
  return lent ? Lock::kLent : Lock::kOther;
}

// What a step answers instead of doing its work; nothing while the tenant is its own.
std::optional<StepResult> MakeWay(const kv::Store* store, StepContext& context) {
  const Tables tables(store);
  const std::string tenant = TenantOf(context);
  switch (LockOf(tables, context, tenant)) {
    case Lock::kOwn:
      return std::nullopt;
    case Lock::kLent:
      return StepResult::Wait(
          kRecheck,
          absl::StrCat("waiting: host ", context.record().operation().host(),
                       " is lost, and tenant ", tenant, " is being restored on another one"));
    case Lock::kOther:
      break;
  }
  const std::string& host = context.record().operation().host();
  const auto row = tables.tenants.Get(tenant);
  if (!row.ok() || row->value.host() == host) return std::nullopt;
  return StepResult::Fail(absl::FailedPreconditionError(
      absl::StrCat("host ", host, " was lost in the middle of it, and tenant ", tenant,
                   " was restored on host ", row->value.host(), " from its last backup")));
}

// What a compensation answers.
std::optional<StepResult> LeaveIt(const kv::Store* store, StepContext& context) {
  auto way = MakeWay(store, context);
  if (!way || way->kind != StepResult::Kind::kFail) return way;
  // Said once.
  StepResult result = StepResult::Done("nothing to undo");
  const std::string why(way->status.message());
  if (!absl::StrContains(context.record().failure().message(), why)) result.note = why;
  return result;
}

}  // namespace

bool Yields(absl::string_view kind) {
  return std::find(kYielding.begin(), kYielding.end(), kind) != kYielding.end();
}

operations::Kind Yielding(operations::Kind kind, const kv::Store* store) {
  const auto make_way = [store](StepContext& context) { return MakeWay(store, context); };
  const auto leave_it = [store](StepContext& context) { return LeaveIt(store, context); };
  return operations::LookFirst(std::move(kind), make_way, leave_it);
}

}  // namespace mtp::failover
