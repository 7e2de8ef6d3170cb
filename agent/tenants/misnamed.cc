#include "agent/tenants/misnamed.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/compose/render.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// An operator's `docker compose run`.
bool IsOneOff(const ContainerSummary& container) {
  const auto label = container.labels.find("com.docker.compose.oneoff");
  return label != container.labels.end() && label->second == "True";
}

}  // namespace

absl::Status RemoveMisnamed(TenantTools& tools, const std::string& service,
                            const std::string& container, absl::Duration grace,
                            const CancelToken* cancel) {
  MTP_ASSIGN_OR_RETURN(const std::vector<ContainerSummary> all,
                       tools.engine->ListContainers(kProjectName, service));
  const auto misnamed = std::find_if(all.begin(), all.end(), [&](const ContainerSummary& one) {
    return one.name != container && !IsOneOff(one);
  });
  if (misnamed == all.end()) return absl::OkStatus();
  tools.log.Warning(absl::StrCat("container ", misnamed->name,
                                 " was left by a change that was interrupted; ", container,
                                 " is made anew"));
  return Annotate(tools.compose->RemoveOne({service, RenderServiceStub(service)}, grace, cancel),
                  absl::StrCat("removing ", misnamed->name));
}

}  // namespace mtp
