#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/failure.h"
#include "cli/output/tenant_view.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

struct ShowOptions {
  std::string name;
};

absl::StatusOr<int> Show(Invocation& invocation, const ShowOptions& options) {
  v1::GetTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  const auto tenant = Call(invocation, &v1::TenantService::Stub::GetTenant, request);
  if (absl::IsNotFound(tenant.status())) {
    return WithHint(tenant.status(), "`mtp-cli status` lists all");
  }
  if (!tenant.ok()) return tenant.status();
  invocation.Print(TenantDetailsJson(*tenant, invocation.now()),
                   [&] { return TenantDetails(*tenant, invocation.now(), invocation.colour()); });
  return 0;
}

}  // namespace

void AddTenant(CLI::App& root, Chosen& chosen) {
  CLI::App& tenant =
      *root.add_subcommand("tenant", "One tenant's settings and all that is known of it");
  tenant.require_subcommand(1);
  auto [show, options] =
      AddCommand<ShowOptions>(tenant, chosen, "show", "Show everything about one tenant", Show);
  show->add_option("NAME", options->name, "Tenant")->required();
  AddTenantSet(tenant, chosen);
  AddTenantFailover(tenant, chosen);
}

}  // namespace mtp::cli
