// Images on this host.
#pragma once

#include <string>

#include "agent/docker/engine.h"
#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"

namespace mtp {

// Brings the image onto the host; with `refresh` also when one of that name is here already. An
// image id (`sha256:…`) is never asked for anywhere: no registry knows it.
PhaseResult BringImage(TenantTools& tools, const std::string& image, bool refresh,
                       PhaseContext& context);

// A reference that means this very image for ever: what the engine knows it by in the repository
// that `image` names, `<repository>@sha256:…`, or else its id. Pure.
std::string PinnedReference(const std::string& image, const ImageDetails& details);

}  // namespace mtp
