// Images on this host.
#pragma once

#include <absl/status/statusor.h>

#include <stop_token>
#include <string>

#include "agent/docker/engine.h"
#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"

namespace mtp {

// Pulls the image when the host has none of that name, so it never moves a tag that is here. An
// image id (`sha256:…`) is never asked for anywhere: no registry knows it.
PhaseResult BringImage(TenantTools& tools, const std::string& image, PhaseContext& context);

// `<repository>@sha256:…` of what the image's registry has under that name now. Pulling this
// instead of the name leaves the host's tag where it is, and with it the tenants that start from
// the tag: Compose would make their containers anew from another image. An id, or a reference that
// has a digest, comes back unchanged and no registry is asked. UNAVAILABLE and CANCELLED as with
// Engine; all else is FAILED_PRECONDITION that says what to do.
absl::StatusOr<std::string> ReferenceInRegistry(Engine& engine, const std::string& image,
                                                std::stop_token stop);

// A reference that means this very image for ever: what the engine knows it by in the repository
// that `image` names, `<repository>@sha256:…`, or else its id. Pure.
std::string PinnedReference(const std::string& image, const ImageDetails& details);

}  // namespace mtp
