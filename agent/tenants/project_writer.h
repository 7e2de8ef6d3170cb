// The project folder as the journal says it: the one place that renders.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <optional>
#include <string>

#include "agent/compose/compose.h"
#include "agent/compose/project_folder.h"
#include "agent/compose/render.h"
#include "agent/tenants/journal.h"
#include "common/base/random.h"

namespace mtp {

struct ProjectSettings {
  std::string default_image;
  SubnetPool subnets;
  bool admin_enabled = false;
};

// Thread-safe. Journal, folder and random outlive it.
class ProjectWriter {
 public:
  ProjectWriter(ProjectSettings settings, Journal* journal, const ProjectFolder* folder,
                Random* random);

  // Writes those files that differ from what the journal says. One writer at a time.
  absl::Status WriteAll();

  // For Compose. NOT_FOUND when the tenant is not on this host.
  absl::StatusOr<ComposeService> Tenant(const TenantName& name);
  // FAILED_PRECONDITION when this host has no admin instance.
  absl::StatusOr<ComposeService> Admin();
  // Secrets of the admin instance, its gateway token included.
  absl::StatusOr<v1::TenantSecrets> AdminSecrets();

  const ProjectSettings& settings() const { return settings_; }

 private:
  absl::StatusOr<ProjectTenant> LoadTenant(const state::v1::AgentTenantRecord& record);
  absl::StatusOr<Project> LoadProject(bool with_tenants);

  const ProjectSettings settings_;
  Journal* const journal_;
  const ProjectFolder* const folder_;
  Random* const random_;
  absl::Mutex writing_;
};

}  // namespace mtp
