// The project folder as pure functions of a value: what the agent's journal says in, the text of
// the files out. The layout is the single-host system's, so an operator can use `docker compose`
// in the folder; docs/decisions/0006-agent-folder.md says why each setting is as it is.
//
// Secrets stand in `.env` only; all else refers to them as `${ACME_GATEWAY_TOKEN}`.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/compose/subnet_pool.h"
#include "common/base/names.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

inline constexpr char kProjectName[] = "mtp";
inline constexpr char kAdminService[] = "admin";
inline constexpr char kAdminContainer[] = "mtp-admin";
inline constexpr int kAdminPort = 18789;
// Label of every container and network of a tenant; its value is the tenant's short name.
inline constexpr char kTenantLabel[] = "mtp.tenant";
// User and group that an OpenClaw container runs as.
inline constexpr uid_t kContainerUid = 1000;
// Longer than OpenClaw's own drain of running turns (315 s, shut down by 325 s).
inline constexpr int kStopGraceSeconds = 330;

struct ProjectTenant {
  TenantName name;
  v1::TenantSpec spec;  // Every default resolved.
  int port = 0;
  int subnet_index = 0;  // From 1; 0 is the admin instance's.
  v1::TenantSecrets secrets;
};

struct ProjectAdmin {
  std::string image;
  int port = kAdminPort;
  int64_t memory_limit_mib = 2048;
  v1::TenantSecrets secrets;
};

struct Project {
  std::string default_image;  // Becomes OPENCLAW_IMAGE.
  SubnetPool subnets;
  std::optional<ProjectAdmin> admin;
  std::vector<ProjectTenant> tenants;
};

struct RenderedFile {
  std::string path;  // Relative to the project folder.
  std::string content;
  mode_t mode = 0644;
};

// `.env`, `docker-compose.yml`, `docker-compose.override.yml` and `tenants.conf`. Tenants are
// sorted by name. INVALID_ARGUMENT, naming the tenant, for a value that cannot be carried (control
// characters, a malformed image reference); OUT_OF_RANGE for a subnet index beyond the pool.
absl::StatusOr<std::vector<RenderedFile>> RenderProject(const Project& project);

// A Compose file of one tenant's service and network and nothing else, for changes: Compose's work
// grows with the file, and the container's config hash is the same as from the whole project, so
// `docker compose up -d` on the whole leaves the container alone.
absl::StatusOr<std::string> RenderTenantService(const Project& project,
                                                const ProjectTenant& tenant);
// The same for the admin instance. FAILED_PRECONDITION when the project has none.
absl::StatusOr<std::string> RenderAdminService(const Project& project);

// A Compose file that names a service and its network and says no more: enough to stop, restart or
// take down what is there, even when `.env` or the journal lost the rest, and with an image to pull
// it. Never for starting.
std::string RenderServiceStub(absl::string_view service, absl::string_view image = "none");

// Folder of the admin instance's filtered Docker socket, relative to the project folder. The folder
// is what is mounted, so a socket that is made anew is seen inside at once.
inline constexpr char kAdminSocketFolder[] = "run/admin";

}  // namespace mtp
