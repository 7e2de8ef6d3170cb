#include "controller/tenants/gone.h"

#include <absl/strings/str_cat.h>

#include <string>
#include <utility>

#include "controller/state/tables.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

bool IsGone(const kv::Store* store, const StepContext& context) {
  return absl::IsNotFound(Tables(store).tenants.Get(TenantOf(context)).status());
}

StepResult End(WhenGone when_gone, const StepContext& context) {
  const std::string why =
      absl::StrCat("tenant ", TenantOf(context), " is gone: its host has left the fleet for good");
  return when_gone == WhenGone::kDone ? StepResult::Done(why)
                                      : StepResult::Fail(absl::NotFoundError(why));
}

}  // namespace

operations::Kind EndWithTenant(operations::Kind kind, WhenGone when_gone, const kv::Store* store) {
  for (operations::Step& step : kind.steps) {
    step.run = [store, when_gone, run = std::move(step.run)](StepContext& context) {
      return IsGone(store, context) ? End(when_gone, context) : run(context);
    };
    if (!step.compensate) continue;
    step.compensate = [store, compensate = std::move(step.compensate)](StepContext& context) {
      return IsGone(store, context) ? StepResult::Done("nothing to undo") : compensate(context);
    };
  }
  return kind;
}

}  // namespace mtp
