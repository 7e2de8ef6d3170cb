#include "agent/compose/render.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/compose/env_file.h"
#include "agent/compose/service_text.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kNotice[] =
    "# Rendered by mtp-agent from its journal: changes made here are replaced.\n";
constexpr int kAdminSubnet = 0;

// Appends `NAME="value"`; values that are empty are left out.
absl::Status AppendVariable(std::string* text, absl::string_view prefix, absl::string_view suffix,
                            absl::string_view value) {
  if (value.empty()) return absl::OkStatus();
  auto quoted = QuoteEnvValue(value);
  if (!quoted.ok()) return Annotate(quoted.status(), absl::StrCat(prefix, "_", suffix));
  absl::StrAppend(text, prefix, "_", suffix, "=", *quoted, "\n");
  return absl::OkStatus();
}

absl::Status AppendInstance(std::string* text, absl::string_view prefix, int port,
                            const v1::TenantSecrets& secrets) {
  if (secrets.gateway_token().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(prefix, "_GATEWAY_TOKEN is empty"));
  }
  MTP_RETURN_IF_ERROR(AppendVariable(text, prefix, "GATEWAY_TOKEN", secrets.gateway_token()));
  MTP_RETURN_IF_ERROR(AppendVariable(text, prefix, "TELEGRAM_TOKEN", secrets.telegram_token()));
  MTP_RETURN_IF_ERROR(AppendVariable(text, prefix, "ANTHROPIC_KEY", secrets.anthropic_key()));
  MTP_RETURN_IF_ERROR(AppendVariable(text, prefix, "OPENAI_KEY", secrets.openai_key()));
  MTP_RETURN_IF_ERROR(AppendVariable(text, prefix, "OPENROUTER_KEY", secrets.openrouter_key()));
  return AppendVariable(text, prefix, "PORT", absl::StrCat(port));
}

absl::StatusOr<std::string> EnvText(const Project& project,
                                    const std::vector<const ProjectTenant*>& tenants) {
  std::string text = absl::StrCat(kNotice, "# Holds secrets: keep its mode at 0600.\n");
  MTP_RETURN_IF_ERROR(AppendVariable(&text, "OPENCLAW", "IMAGE",
                                     project.admin ? project.admin->image : project.default_image));
  if (project.admin) {
    MTP_RETURN_IF_ERROR(
        AppendInstance(&text, "ADMIN", project.admin->port, project.admin->secrets));
  }
  for (const ProjectTenant* tenant : tenants) {
    absl::StrAppend(&text, "# ", tenant->name.value(), "\n");
    MTP_RETURN_IF_ERROR(
        AppendInstance(&text, tenant->name.EnvPrefix(), tenant->port, tenant->secrets));
  }
  return text;
}

absl::StatusOr<std::string> AdminFileText(const Project& project) {
  std::string text = absl::StrCat("name: ", kProjectName, "\n\n");
  if (!project.admin) return text + "services: {}\n";
  MTP_ASSIGN_OR_RETURN(const std::string service, AdminServiceText(*project.admin));
  MTP_ASSIGN_OR_RETURN(const std::string subnet, project.subnets.Subnet(kAdminSubnet));
  absl::StrAppend(&text, SharedSettings(), "\nservices:\n", service, "\nnetworks:\n",
                  NetworkText(kAdminService, subnet, ""));
  return text;
}

absl::StatusOr<std::string> TenantsFileText(const Project& project,
                                            const std::vector<const ProjectTenant*>& tenants) {
  if (tenants.empty()) return std::string("services: {}\n");
  std::string services;
  std::string networks;
  for (const ProjectTenant* tenant : tenants) {
    auto service = TenantServiceText(*tenant);
    if (!service.ok()) return Annotate(service.status(), tenant->name.value());
    auto subnet = project.subnets.Subnet(tenant->subnet_index);
    if (!subnet.ok()) return Annotate(subnet.status(), tenant->name.value());
    services += *service;
    networks += NetworkText(tenant->name.value(), *subnet, tenant->name.value());
  }
  return absl::StrCat(SharedSettings(), "\nservices:\n", services, "\nnetworks:\n", networks);
}

}  // namespace

absl::StatusOr<std::vector<RenderedFile>> RenderProject(const Project& project) {
  std::vector<const ProjectTenant*> tenants;
  for (const ProjectTenant& tenant : project.tenants) tenants.push_back(&tenant);
  std::sort(tenants.begin(), tenants.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });

  MTP_ASSIGN_OR_RETURN(std::string env, EnvText(project, tenants));
  MTP_ASSIGN_OR_RETURN(std::string admin, AdminFileText(project));
  MTP_ASSIGN_OR_RETURN(std::string override_text, TenantsFileText(project, tenants));
  std::string registry;
  for (const ProjectTenant* tenant : tenants) {
    absl::StrAppend(&registry, tenant->name.value(), " ", tenant->port, "\n");
  }

  std::vector<RenderedFile> files;
  files.push_back({".env", std::move(env), 0600});
  files.push_back({"docker-compose.yml", kNotice + admin, 0644});
  files.push_back({"docker-compose.override.yml", kNotice + override_text, 0644});
  files.push_back({"tenants.conf", std::move(registry), 0644});
  return files;
}

absl::StatusOr<std::string> RenderTenantService(const Project& project,
                                                const ProjectTenant& tenant) {
  MTP_ASSIGN_OR_RETURN(const std::string text, TenantsFileText(project, {&tenant}));
  return absl::StrCat("name: ", kProjectName, "\n\n", text);
}

absl::StatusOr<std::string> RenderAdminService(const Project& project) {
  if (!project.admin) {
    return absl::FailedPreconditionError("this host has no admin instance (--no-admin)");
  }
  return AdminFileText(project);
}

std::string RenderServiceStub(absl::string_view service, absl::string_view image) {
  return absl::StrCat("name: ", kProjectName, "\nservices:\n  \"", service, "\": {image: \"", image,
                      "\", networks: [\"", service, "\"]}\nnetworks:\n  \"", service, "\": {}\n");
}

}  // namespace mtp
