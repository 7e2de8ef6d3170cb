#include <absl/strings/str_cat.h>

#include <optional>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/tenant_view.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::TenantService::Stub;

// Tries to change labels while others change the tenant.
constexpr int kMaxTries = 4;

struct ShowOptions {
  std::string name;
};

struct SetOptions {
  std::string name;
  std::optional<int64_t> memory_limit_mib;
  std::optional<int64_t> memory_reservation_mib;
  std::vector<std::string> labels;
  std::vector<std::string> removed_labels;
  std::string failover;
  ChangeOptions change;
};

absl::StatusOr<v1::Tenant> GetTenant(Invocation& invocation, const std::string& resource) {
  v1::GetTenantRequest request;
  request.set_name(resource);
  auto tenant = Call(invocation, &Stub::GetTenant, request);
  if (absl::IsNotFound(tenant.status())) {
    return WithHint(tenant.status(), "`mtp-cli status` lists all");
  }
  return tenant;
}

absl::StatusOr<int> Show(Invocation& invocation, const ShowOptions& options) {
  MTP_ASSIGN_OR_RETURN(const std::string resource, ParseTenant(options.name));
  MTP_ASSIGN_OR_RETURN(const v1::Tenant tenant, GetTenant(invocation, resource));
  invocation.Print(TenantDetailsJson(tenant, invocation.now()),
                   [&] { return TenantDetails(tenant, invocation.now(), invocation.colour()); });
  return 0;
}

bool ChangesLabels(const SetOptions& options) {
  return !options.labels.empty() || !options.removed_labels.empty();
}

// What does not depend on the tenant as it is.
absl::Status ReadSettings(const SetOptions& options, v1::UpdateTenantRequest* request) {
  if (options.memory_limit_mib) {
    request->mutable_spec()->set_memory_limit_mib(*options.memory_limit_mib);
    request->mutable_update_mask()->add_paths("memory_limit_mib");
  }
  if (options.memory_reservation_mib) {
    request->mutable_spec()->set_memory_reservation_mib(*options.memory_reservation_mib);
    request->mutable_update_mask()->add_paths("memory_reservation_mib");
  }
  if (ChangesLabels(options)) request->mutable_update_mask()->add_paths("labels");
  if (!options.failover.empty()) {
    MTP_ASSIGN_OR_RETURN(const v1::FailoverPolicy policy, ParseFailover(options.failover));
    request->mutable_spec()->set_failover_policy(policy);
    request->mutable_update_mask()->add_paths("failover_policy");
    if (request->update_mask().paths_size() > 1) {
      return absl::InvalidArgumentError(
          "--failover is set by itself; set the rest in another call");
    }
  }
  if (request->update_mask().paths_size() > 0) return absl::OkStatus();
  return WithHint(absl::InvalidArgumentError("there is nothing to set"),
                  "--memory-limit, --memory-reservation, --label, --remove-label or --failover");
}

// The tenant's labels, with those of the command line put in and taken out.
absl::Status ReadLabels(Invocation& invocation, const SetOptions& options,
                        v1::UpdateTenantRequest* request) {
  google::protobuf::Map<std::string, std::string> given;
  MTP_RETURN_IF_ERROR(ParseLabels(options.labels, "--label", &given));
  for (const std::string& key : options.removed_labels) {
    if (given.count(key) > 0) {
      return absl::InvalidArgumentError(absl::StrCat("label ", key, " is both set and removed"));
    }
  }
  MTP_ASSIGN_OR_RETURN(const v1::Tenant tenant, GetTenant(invocation, request->name()));
  auto& labels = *request->mutable_spec()->mutable_labels();
  labels = tenant.spec().labels();
  for (const auto& [key, value] : given) labels[key] = value;
  for (const std::string& key : options.removed_labels) labels.erase(key);
  // A repetition under a request id has to be the same request, whatever happened meanwhile.
  if (options.change.request_id.empty()) request->set_etag(tenant.etag());
  return absl::OkStatus();
}

absl::StatusOr<v1::Operation> Send(Invocation& invocation, const SetOptions& options,
                                   v1::UpdateTenantRequest request) {
  absl::StatusOr<v1::Operation> accepted;
  for (int i = 0; i < kMaxTries; ++i) {
    if (ChangesLabels(options)) MTP_RETURN_IF_ERROR(ReadLabels(invocation, options, &request));
    accepted = Call(invocation, &Stub::UpdateTenant, request);
    if (!absl::IsAborted(accepted.status())) break;
  }
  return accepted;
}

std::string SetText(const std::string& tenant, const SetOptions& options,
                    const v1::Operation& operation, const Invocation& invocation) {
  if (!options.failover.empty()) {
    return absl::StrCat(Paint(tenant, Tone::kStrong, invocation.colour()), " is set after ",
                        HumanDuration(Elapsed(operation, invocation.now())), "\n  on host loss ",
                        options.failover, "\n");
  }
  const auto mib = [&](const char* key) {
    const auto found = operation.result().find(key);
    return found == operation.result().end() ? std::string("unknown")
                                             : absl::StrCat(Visible(found->second), " MiB");
  };
  return absl::StrCat(Paint(tenant, Tone::kStrong, invocation.colour()), " is set after ",
                      HumanDuration(Elapsed(operation, invocation.now())), "\n  memory limit ",
                      mib("memory_limit_mib"), "\n  reserved     ", mib("memory_reservation_mib"),
                      "\n");
}

absl::StatusOr<int> Set(Invocation& invocation, const SetOptions& options) {
  v1::UpdateTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  MTP_RETURN_IF_ERROR(ReadSettings(options, &request));
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  const std::string tenant = ShortName(request.name());
  MTP_ASSIGN_OR_RETURN(const v1::Operation accepted, Send(invocation, options, request));
  if (options.change.dry_run) {
    invocation.Print({{"tenant", tenant}, {"dry_run", true}}, [] {
      return std::string("Nothing speaks against it; nothing was changed.\n");
    });
    return 0;
  }
  return Conclude(
      invocation, accepted, options.change,
      [&](const v1::Operation& operation) -> Json {
        return {{"tenant", tenant}, {"operation", OperationJson(operation)}};
      },
      [&](const v1::Operation& operation) {
        return SetText(tenant, options, operation, invocation);
      });
}

}  // namespace

void AddTenant(CLI::App& root, Chosen& chosen) {
  CLI::App& tenant =
      *root.add_subcommand("tenant", "One tenant's settings and all that is known of it");
  tenant.require_subcommand(1);
  auto [show, show_options] =
      AddCommand<ShowOptions>(tenant, chosen, "show", "Show everything about one tenant", Show);
  show->add_option("NAME", show_options->name, "Tenant")->required();

  auto [set, options] = AddCommand<SetOptions>(
      tenant, chosen, "set",
      "Change a tenant's memory, labels and failover policy, without a restart", Set);
  set->add_option("NAME", options->name, "Tenant")->required();
  set->add_option("--memory-limit", options->memory_limit_mib,
                  "Most memory that it may use; 0 is the default")
      ->type_name("MIB")
      ->check(CLI::NonNegativeNumber);
  set->add_option("--memory-reservation", options->memory_reservation_mib,
                  "Memory to reserve on its host; 0 is the default")
      ->type_name("MIB")
      ->check(CLI::NonNegativeNumber);
  set->add_option("--label", options->labels, "Label to set; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  set->add_option("--remove-label", options->removed_labels, "Label to remove; may be repeated")
      ->type_name("K")
      ->allow_extra_args(false);
  set->add_option("--failover", options->failover,
                  "What becomes of it when its host is lost: stay, or failover to another host "
                  "from its last backup")
      ->type_name("stay|failover")
      ->check(CLI::IsMember({"stay", "failover"}));
  AddChangeFlags(set, &options->change);
  AddTenantFailover(tenant, chosen);
}

}  // namespace mtp::cli
