#include "controller/tenants/gone.h"

#include <absl/strings/str_cat.h>

#include <optional>
#include <string>
#include <utility>

#include "controller/operations/look_first.h"
#include "controller/state/tables.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

std::optional<StepResult> WhyNot(WhenGone when_gone, const kv::Store* store,
                                 const StepContext& context) {
  const std::string tenant = TenantOf(context);
  if (!absl::IsNotFound(Tables(store).tenants.Get(tenant).status())) return std::nullopt;
  const std::string why =
      absl::StrCat("tenant ", tenant, " is gone: its host has left the fleet for good");
  return when_gone == WhenGone::kDone ? StepResult::Done(why)
                                      : StepResult::Fail(absl::NotFoundError(why));
}

}  // namespace

operations::Kind EndWithTenant(operations::Kind kind, WhenGone when_gone, const kv::Store* store) {
  const auto end = [when_gone, store](StepContext& context) {
    return WhyNot(when_gone, store, context);
  };
  const auto leave_it = [store](StepContext& context) {
    auto gone = WhyNot(WhenGone::kDone, store, context);
    if (gone) gone->message = "nothing to undo";
    return gone;
  };
  return operations::LookFirst(std::move(kind), end, leave_it);
}

}  // namespace mtp
