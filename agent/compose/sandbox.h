// The sandbox of a drill: a container on a copy of a tenant's data, with everything that a tenant's
// container has but a network, a port, and secrets. It is a Compose project of its own, so that
// nothing that looks at the agent's project takes it for a tenant.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <map>
#include <string>

#include "agent/compose/compose.h"
#include "common/base/names.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// Label of every sandbox; its value is the tenant's short name.
inline constexpr char kDrillLabel[] = "mtp.drill";

struct Sandbox {
  // Whose action it is; names service, container and project.
  TenantName name;
  // Tenant that the data is of. The container has the host name of that tenant's own: OpenClaw's
  // lease in the data is then taken over at once (service_text.cc says more).
  TenantName data_of;
  std::string image;
  int64_t memory_limit_mib = 0;
  // Folder with `.openclaw` and `workspace`, relative to the project's `data`.
  std::string folder;
  std::map<std::string, std::string> environment;
};

// `drill_acme`, and `mtp-drill_acme`. No tenant's name holds an underscore: these are never a
// tenant's.
std::string SandboxService(const TenantName& name);
std::string SandboxContainer(const TenantName& name);

// To start it. INVALID_ARGUMENT for a value that cannot be carried.
absl::StatusOr<ComposeService> RenderSandbox(const Sandbox& sandbox);
// To stop or remove it, whatever it was started with. Never for starting.
ComposeService SandboxStub(const TenantName& name);

// What stands in for a tenant's secrets and addresses in its sandbox. OpenClaw does not load a
// configuration that names a variable which is not set, and some variables change what it loads: so
// a tenant's variable is there exactly when its configuration, `config`, names it.
std::map<std::string, std::string> SandboxEnvironment(absl::string_view config,
                                                      const v1::TenantSpec& spec,
                                                      const std::string& gateway_token);

}  // namespace mtp
