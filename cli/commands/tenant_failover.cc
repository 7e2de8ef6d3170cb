// `tenant failover`: an operator's word that places a tenant of an unreachable host elsewhere.
#include <absl/strings/str_cat.h>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/names.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::TenantService::Stub;

struct FailoverOptions {
  std::string name;
  std::string host;
  bool yes = false;
  ChangeOptions change;
};

// Nothing is placed elsewhere without a word from a person, or the flag of a script.
absl::Status ConfirmPlan(Invocation& invocation, const FailoverOptions& options,
                         const std::string& tenant, const v1::Operation& plan) {
  const std::string risk = ResultOf(plan, "risk");
  if (!risk.empty()) invocation.Warn(Visible(risk));
  if (options.yes || options.change.dry_run) return absl::OkStatus();
  const std::string what = absl::StrCat(tenant, ": ", Visible(plan.message()));
  if (!PersonIsThere(invocation)) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(what, "; nothing was changed")),
                    "--yes says that it may be");
  }
  return Confirm(invocation, absl::StrCat(what, ". Go on? [y/N] "), "nothing was changed");
}

Json PlanJson(const std::string& tenant, const v1::Operation& plan) {
  const std::string risk = ResultOf(plan, "risk");
  return {{"tenant", tenant},
          {"host", ResultOf(plan, "host")},
          {"backup", ResultOf(plan, "backup")},
          {"risk", risk.empty() ? Json(nullptr) : Json(risk)}};
}

std::string DoneText(const std::string& tenant, const v1::Operation& operation,
                     const Invocation& invocation) {
  return absl::StrCat(
      Paint(tenant, Tone::kStrong, invocation.colour()), " ",
      Paint("runs", Tone::kGood, invocation.colour()), " on ", Visible(operation.host()),
      " with its last backup, after ", HumanDuration(Elapsed(operation, invocation.now())),
      "\n  What came after that backup is kept on its old host, under data/", tenant, ".\n");
}

absl::StatusOr<int> Run(Invocation& invocation, const FailoverOptions& options) {
  v1::FailOverTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  if (!options.host.empty()) MTP_RETURN_IF_ERROR(HostName::Parse(options.host).status());
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  const std::string tenant = ShortName(request.name());
  request.set_host(options.host);
  request.set_validate_only(true);
  const auto preview = Call(invocation, &Stub::FailOverTenant, request);
  // A repetition under its id is answered with the first one's operation, whatever is true by now.
  const bool repeats = options.yes && !options.change.request_id.empty();
  if (!repeats) MTP_RETURN_IF_ERROR(preview.status());
  const v1::Operation plan = preview.ok() ? *preview : v1::Operation();
  MTP_RETURN_IF_ERROR(ConfirmPlan(invocation, options, tenant, plan));
  if (options.change.dry_run) {
    Json json = PlanJson(tenant, plan);
    json["dry_run"] = true;
    invocation.Print(json, [&] {
      return absl::StrCat(tenant, ": ", Visible(plan.message()), ". Nothing was changed.\n");
    });
    return 0;
  }
  request.set_validate_only(false);
  request.set_accept_two_copies(options.yes || !ResultOf(plan, "risk").empty());
  request.set_request_id(RequestId(invocation, options.change));
  MTP_ASSIGN_OR_RETURN(const v1::Operation accepted,
                       Call(invocation, &Stub::FailOverTenant, request));
  return Conclude(
      invocation, accepted, options.change,
      [&](const v1::Operation& operation) {
        Json json = PlanJson(tenant, plan);
        json["operation"] = OperationJson(operation);
        return json;
      },
      [&](const v1::Operation& operation) { return DoneText(tenant, operation, invocation); });
}

}  // namespace

void AddTenantFailover(CLI::App& tenant, Chosen& chosen) {
  auto [command, options] = AddCommand<FailoverOptions>(
      tenant, chosen, "failover",
      "Place a tenant of an unreachable host elsewhere, with its last backup", Run);
  command->add_option("NAME", options->name, "Tenant")->required();
  command->add_option("--host", options->host, "Only this host will do")->type_name("HOST");
  command->add_flag("-y,--yes", options->yes,
                    "Do not ask, also where the old copy may still run: two pollers on one bot "
                    "steal each other's messages");
  AddChangeFlags(command, &options->change);
}

}  // namespace mtp::cli
