// Whether a tenant's OpenClaw accepts a configuration: asked of the image itself, in a container
// without network and state, once for each pair of configuration and image.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"

namespace mtp {

// INVALID_ARGUMENT names what OpenClaw refuses, by path. An image that brings no validator (a test
// double) is taken as accepting. Takes some seconds the first time.
absl::Status CheckConfig(TenantTools& tools, const std::string& tenant, const std::string& image,
                         const std::string& config, PhaseContext& context);

// The first refusals in the answer of `openclaw config validate --json`, in one line; empty when it
// is no such answer. Pure.
std::string ConfigIssues(const std::string& json);

}  // namespace mtp
