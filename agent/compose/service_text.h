// The parts of a Compose file: one service, one network, and the settings that all share.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "agent/compose/render.h"
#include "agent/compose/sandbox.h"

namespace mtp {

// The hardening floor and all else that every OpenClaw container has, as a YAML anchor `&openclaw`.
std::string SharedSettings();

// Limit of memory and swap together that goes with a memory limit, MiB.
int64_t SwapLimitMib(int64_t memory_limit_mib);

// The entry under `services:`.
absl::StatusOr<std::string> TenantServiceText(const ProjectTenant& tenant);
absl::StatusOr<std::string> AdminServiceText(const ProjectAdmin& admin);
// The same hardening, and no way out.
absl::StatusOr<std::string> SandboxServiceText(const Sandbox& sandbox);

// The entry under `networks:`: a bridge of its own with an explicit subnet. `tenant` labels it;
// empty for the admin instance's.
std::string NetworkText(absl::string_view service, absl::string_view subnet,
                        absl::string_view tenant);

}  // namespace mtp
