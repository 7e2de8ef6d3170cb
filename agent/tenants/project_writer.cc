#include "agent/tenants/project_writer.h"

#include "common/base/status.h"

namespace mtp {

ProjectWriter::ProjectWriter(ProjectSettings settings, Journal* journal,
                             const ProjectFolder* folder, Random* random)
    : settings_(std::move(settings)), journal_(journal), folder_(folder), random_(random) {}

absl::StatusOr<ProjectTenant> ProjectWriter::LoadTenant(
    const state::v1::AgentTenantRecord& record) {
  MTP_ASSIGN_OR_RETURN(TenantName name, TenantName::Parse(record.name()));
  ProjectTenant tenant{name, record.spec(), record.port(), record.subnet_index()};
  MTP_ASSIGN_OR_RETURN(tenant.secrets, journal_->Secrets(name));
  return tenant;
}

absl::StatusOr<v1::TenantSecrets> ProjectWriter::AdminSecrets() {
  MTP_ASSIGN_OR_RETURN(v1::TenantSecrets secrets, folder_->AdminSecrets());
  MTP_ASSIGN_OR_RETURN(const SecretString token, journal_->AdminGatewayToken(*random_));
  secrets.set_gateway_token(std::string(token.Reveal()));
  return secrets;
}

absl::StatusOr<Project> ProjectWriter::LoadProject(bool with_tenants) {
  Project project{settings_.default_image, settings_.subnets, std::nullopt, {}};
  if (settings_.admin_enabled) {
    project.admin = ProjectAdmin{settings_.default_image};
    MTP_ASSIGN_OR_RETURN(project.admin->secrets, AdminSecrets());
  }
  if (!with_tenants) return project;
  MTP_ASSIGN_OR_RETURN(const auto records, journal_->Tenants());
  for (const auto& record : records) {
    MTP_ASSIGN_OR_RETURN(ProjectTenant tenant, LoadTenant(record));
    project.tenants.push_back(std::move(tenant));
  }
  return project;
}

absl::Status ProjectWriter::WriteAll() {
  absl::MutexLock lock(&writing_);
  MTP_ASSIGN_OR_RETURN(const Project project, LoadProject(/*with_tenants=*/true));
  MTP_ASSIGN_OR_RETURN(const auto files, RenderProject(project));
  return Annotate(folder_->Write(files), "writing the project folder");
}

absl::StatusOr<ComposeService> ProjectWriter::Tenant(const TenantName& name) {
  MTP_ASSIGN_OR_RETURN(const auto record, journal_->Tenant(name));
  MTP_ASSIGN_OR_RETURN(const ProjectTenant tenant, LoadTenant(record));
  const Project project{settings_.default_image, settings_.subnets, std::nullopt, {}};
  MTP_ASSIGN_OR_RETURN(std::string file, RenderTenantService(project, tenant));
  return ComposeService{name.value(), std::move(file)};
}

absl::StatusOr<ComposeService> ProjectWriter::Admin() {
  MTP_ASSIGN_OR_RETURN(const Project project, LoadProject(/*with_tenants=*/false));
  MTP_ASSIGN_OR_RETURN(std::string file, RenderAdminService(project));
  return ComposeService{kAdminService, std::move(file)};
}

}  // namespace mtp
