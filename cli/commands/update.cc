#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/rollout.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/rollout_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/durations.h"
#include "mtp/v1/rollout.grpc.pb.h"

namespace mtp::cli {
namespace {

using Stub = v1::RolloutService::Stub;

struct UpdateOptions {
  std::vector<std::string> names;
  bool all = false;
  std::string image;
  bool no_pull = false;
  int canary = 1;
  int max_unavailable = 1;
  std::string soak;
  bool no_rehearsal = false;
  std::string idle_wait;
  std::string repository;
  bool yes = false;
  ChangeOptions change;
};

// As ParseWait, but no time at all is one, too.
absl::StatusOr<v1::CreateRolloutRequest> MakeRequest(const UpdateOptions& options) {
  if (options.all != options.names.empty()) {
    return WithHint(
        absl::InvalidArgumentError(options.all ? "--all and names of tenants exclude each other"
                                               : "no tenant is named"),
        "mtp-cli update NAME…, or mtp-cli update --all");
  }
  v1::CreateRolloutRequest request;
  for (const std::string& name : options.names) {
    MTP_ASSIGN_OR_RETURN(*request.add_tenants(), ParseTenant(name));
  }
  v1::RolloutSettings& settings = *request.mutable_settings();
  settings.set_image(options.image);
  settings.set_no_pull(options.no_pull);
  settings.set_canary(options.canary);
  settings.set_max_unavailable(options.max_unavailable);
  settings.set_no_rehearsal(options.no_rehearsal);
  settings.set_repository(std::string(absl::StripPrefix(options.repository, "repositories/")));
  if (!options.soak.empty()) {
    MTP_ASSIGN_OR_RETURN(const absl::Duration soak, ParseWaitOrNone(options.soak, "--soak"));
    *settings.mutable_soak() = ToDuration(soak);
  }
  if (!options.idle_wait.empty()) {
    MTP_ASSIGN_OR_RETURN(const absl::Duration wait,
                         ParseWaitOrNone(options.idle_wait, "--idle-wait"));
    *settings.mutable_idle_wait() = ToDuration(wait);
  }
  return request;
}

// Those that are not left alone from the beginning.
int ToUpdate(const v1::Rollout& plan) {
  int count = 0;
  for (const v1::RolloutTenant& tenant : plan.tenants()) {
    count += tenant.state() == v1::ROLLOUT_TENANT_STATE_PENDING ? 1 : 0;
  }
  return count;
}

std::string Tenants(int count) { return count == 1 ? "1 tenant" : absl::StrCat(count, " tenants"); }

absl::StatusOr<v1::Rollout> AskForPlan(Invocation& invocation, v1::CreateRolloutRequest request) {
  request.set_validate_only(true);
  return Call(invocation, &Stub::CreateRollout, request);
}

// A person is shown what would happen, and asked; a script has said what it wants.
absl::Status ConfirmUpdate(Invocation& invocation, const UpdateOptions& options,
                           const v1::CreateRolloutRequest& request) {
  if (options.yes || !PersonIsThere(invocation)) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const v1::Rollout plan, AskForPlan(invocation, request));
  invocation.environment.err << RolloutTenantsTable(plan, invocation.columns(),
                                                    invocation.err_colour())
                             << std::flush;
  return Confirm(
      invocation,
      absl::StrCat("Update ", Tenants(ToUpdate(plan)), " to ",
                   options.image.empty() ? "the image that each asks for" : Visible(options.image),
                   "? [y/N] "),
      "nothing was updated");
}

absl::StatusOr<int> DryRun(Invocation& invocation, const v1::CreateRolloutRequest& request) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout plan, AskForPlan(invocation, request));
  nlohmann::ordered_json json = RolloutJson(plan);
  json["dry_run"] = true;
  invocation.Print(json, [&] {
    return absl::StrCat(RolloutTenantsTable(plan, invocation.columns(), invocation.colour()),
                        Tenants(ToUpdate(plan)),
                        " would be updated, but for those that have the image already; nothing was "
                        "changed.\n");
  });
  return 0;
}

absl::StatusOr<int> Update(Invocation& invocation, const UpdateOptions& options) {
  MTP_ASSIGN_OR_RETURN(v1::CreateRolloutRequest request, MakeRequest(options));
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout,
                       ParseWait(options.change.timeout, "--timeout"));
  if (options.change.dry_run) return DryRun(invocation, request);
  MTP_RETURN_IF_ERROR(ConfirmUpdate(invocation, options, request));
  request.set_request_id(RequestId(invocation, options.change));
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout, Call(invocation, &Stub::CreateRollout, request));
  const std::string id = Visible(ShortName(rollout.name()));
  if (options.change.no_wait) {
    invocation.Print(RolloutJson(rollout), [&] {
      return absl::StrCat("Accepted as ", Visible(rollout.name()),
                          "\nFollow it: mtp-cli rollout watch ", id, "\n");
    });
    return 0;
  }
  if (invocation.format == Format::kTable && !invocation.environment.err_is_terminal) {
    invocation.environment.err << "rollout " << id
                               << "; it goes on without this command: mtp-cli rollout "
                                  "watch|pause|abort "
                               << id << std::endl;
  }
  return ConcludeRollout(invocation, rollout, timeout);
}

}  // namespace

void AddUpdate(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<UpdateOptions>(
      root, chosen, "update",
      "Update tenants to an image, in waves; one that fails is brought back with its state",
      Update);
  options->change.timeout = kRolloutTimeout;
  command->add_option("NAME", options->names, "Tenants");
  command->add_flag("--all", options->all, "All tenants of the fleet");
  command
      ->add_option("--image", options->image,
                   "Image for all of them; when not given, each tenant's own, as its tag means it "
                   "now")
      ->type_name("REF");
  command->add_flag("--no-pull", options->no_pull,
                    "Do not ask the registry: use what the hosts have under that name");
  command->add_option("--canary", options->canary, "Tenants in the first wave")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--max-unavailable", options->max_unavailable,
                   "Tenants that may be updated at the same time")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--soak", options->soak,
                   "How long a tenant must stay well after its start (60s)")
      ->type_name("TIME");
  command->add_flag("--no-rehearsal", options->no_rehearsal,
                    "Do not try the image on a copy of each tenant's state first");
  command
      ->add_option("--idle-wait", options->idle_wait,
                   "How long to wait for a moment without a running turn (5m)")
      ->type_name("TIME");
  command
      ->add_option("--repository", options->repository,
                   "Where the backups go; where each tenant's backups go when not given")
      ->type_name("NAME");
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  AddChangeFlags(command, &options->change);
}

}  // namespace mtp::cli
