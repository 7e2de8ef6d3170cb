#include "agent/tenants/stopping.h"

#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/tenants/drain_watch.h"
#include "agent/tenants/misnamed.h"
#include "common/base/status.h"

namespace mtp {

PhaseResult StopContainer(TenantTools& tools, const TenantName& name, PhaseContext& context) {
  const absl::Status named = RemoveMisnamed(tools, name.value(), name.Container(),
                                            absl::Seconds(kStopGraceSeconds), context.cancel);
  if (!named.ok()) return PhaseResult::Of(named);
  auto details = tools.engine->InspectContainer(name.Container());
  if (absl::IsNotFound(details.status())) return PhaseResult::Done();
  if (!details.ok()) return PhaseResult::Failed(details.status());
  context.progress("stopping the container; a running turn may take up to 330 s");
  DrainWatch watch(name.Container(), kAfterDrain, tools.engine, tools.clock);
  watch.Start();
  return PhaseResult::Of(
      Annotate(tools.compose->StopOne({name.value(), RenderServiceStub(name.value())},
                                      absl::Seconds(kStopGraceSeconds), context.cancel),
               "stopping the container"));
}

absl::Status ProveStopped(TenantTools& tools, const TenantName& name) {
  auto details = tools.engine->InspectContainer(name.Container());
  if (absl::IsNotFound(details.status())) return absl::OkStatus();
  if (!details.ok()) return details.status();
  if (!details->HasProcesses() && details->state != ContainerState::kRestarting) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat("container ", name.Container(), " is ",
                                                    std::string(ContainerStateName(details->state)),
                                                    ", not stopped"));
}

}  // namespace mtp
