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
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct LifecycleOptions {
  std::string name;
  ChangeOptions change;
};

struct RemoveOptions : LifecycleOptions {
  bool keep_data = false;
  bool yes = false;
};

Json ChangeJson(const std::string& tenant, const v1::Operation& operation) {
  return {{"tenant", tenant}, {"operation", OperationJson(operation)}};
}

std::string Facts(const std::string&, const v1::Operation& operation) {
  return ResultLines(operation);
}

// How a change that has ended is told of.
struct Telling {
  absl::string_view done;  // ends the sentence `acme is …`
  Json (*json)(const std::string& tenant, const v1::Operation& operation) = ChangeJson;
  // What follows that sentence, in lines.
  std::string (*details)(const std::string& tenant, const v1::Operation& operation) = Facts;
};

// Sends a change of a tenant and waits for it.
template <class Request>
absl::StatusOr<int> Change(Invocation& invocation, const ChangeOptions& options, Request request,
                           grpc::Status (v1::TenantService::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&,
                                                                           v1::Operation*),
                           const Telling& telling) {
  request.set_request_id(RequestId(invocation, options));
  request.set_validate_only(options.dry_run);
  MTP_ASSIGN_OR_RETURN(const v1::Operation accepted, Call(invocation, method, request));
  const std::string tenant = ShortName(request.name());
  if (options.dry_run) {
    invocation.Print({{"tenant", tenant}, {"dry_run", true}}, [&] {
      return absl::StrCat("Nothing speaks against it; nothing was changed.\n");
    });
    return 0;
  }
  return Conclude(
      invocation, accepted, options,
      [&](const v1::Operation& operation) { return telling.json(tenant, operation); },
      [&](const v1::Operation& operation) {
        return absl::StrCat(Paint(tenant, Tone::kStrong, invocation.colour()), " is ", telling.done,
                            " after ", HumanDuration(Elapsed(operation, invocation.now())), "\n",
                            telling.details(tenant, operation));
      });
}

template <class Request>
absl::StatusOr<int> ChangeNamed(Invocation& invocation, const LifecycleOptions& options,
                                grpc::Status (v1::TenantService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, v1::Operation*),
                                absl::string_view done) {
  Request request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  return Change(invocation, options.change, std::move(request), method, {.done = done});
}

absl::StatusOr<int> Start(Invocation& invocation, const LifecycleOptions& options) {
  return ChangeNamed(invocation, options, &v1::TenantService::Stub::StartTenant, "ready");
}

absl::StatusOr<int> Stop(Invocation& invocation, const LifecycleOptions& options) {
  return ChangeNamed(invocation, options, &v1::TenantService::Stub::StopTenant, "stopped");
}

absl::StatusOr<int> Restart(Invocation& invocation, const LifecycleOptions& options) {
  return ChangeNamed(invocation, options, &v1::TenantService::Stub::RestartTenant, "ready again");
}

// A person is asked; a script has said what it wants.
absl::Status ConfirmRemoval(Invocation& invocation, const RemoveOptions& options) {
  if (options.yes || options.change.dry_run || !PersonIsThere(invocation)) return absl::OkStatus();
  return Confirm(
      invocation,
      absl::StrCat("Remove ", options.name, " after a final backup",
                   options.keep_data ? ", keeping its data folder" : ", with all its data",
                   "? [y/N] "),
      "nothing was removed");
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json RemovalJson(const std::string& tenant, const v1::Operation& operation) {
  Json json = ChangeJson(tenant, operation);
  json["backup"] = TextOrNull(ShortName(ResultOf(operation, "backup")));
  json["backup_file"] = TextOrNull(ResultOf(operation, "backup_file"));
  return json;
}

// Where the final backup is, and what brings the tenant back from it.
std::string WayBack(const std::string& tenant, const v1::Operation& operation) {
  if (!ResultOf(operation, "absent").empty()) {
    return absl::StrCat("  ", Visible(operation.host()),
                        " did not have it, so there was nothing to back up; data of that name that "
                        "may be there is kept\n");
  }
  const std::string backup = Visible(ShortName(ResultOf(operation, "backup")));
  if (!backup.empty()) {
    return absl::StrCat("  Its final backup is ", backup, " in repository ",
                        Visible(ResultOf(operation, "repository")),
                        "\n  To bring it back: mtp-cli backup restore ", tenant, " --from ", backup,
                        "\n");
  }
  const std::string file = Visible(ResultOf(operation, "backup_file"));
  if (file.empty()) return "";
  return absl::StrCat("  Its final backup is ", file, " in the project folder of ",
                      Visible(operation.host()),
                      "\n  To bring it back: unpack it into data/ there, then mtp-cli provision ",
                      tenant, " --use-kept-data\n");
}

absl::StatusOr<int> Remove(Invocation& invocation, const RemoveOptions& options) {
  v1::RemoveTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  MTP_RETURN_IF_ERROR(ConfirmRemoval(invocation, options));
  request.set_keep_data(options.keep_data);
  return Change(invocation, options.change, std::move(request),
                &v1::TenantService::Stub::RemoveTenant,
                {.done = "removed", .json = RemovalJson, .details = WayBack});
}

}  // namespace

void AddLifecycle(CLI::App& root, Chosen& chosen) {
  auto [remove, remove_options] = AddCommand<RemoveOptions>(
      root, chosen, "remove", "Stop a tenant, back it up, and remove every trace of it", Remove);
  remove->add_option("NAME", remove_options->name, "Tenant")->required();
  remove->add_flag("--keep-data", remove_options->keep_data, "Keep its data folder on the host");
  remove->add_flag("-y,--yes", remove_options->yes, "Do not ask");
  AddChangeFlags(remove, &remove_options->change);

  const auto add = [&](const char* name, const char* description,
                       absl::StatusOr<int> (*run)(Invocation&, const LifecycleOptions&)) {
    auto [command, options] = AddCommand<LifecycleOptions>(root, chosen, name, description, run);
    command->add_option("NAME", options->name, "Tenant")->required();
    AddChangeFlags(command, &options->change);
  };
  add("start", "Start a stopped tenant, and wait until it is ready", Start);
  add("stop", "Stop a tenant; it stays stopped until started", Stop);
  add("restart", "Restart a tenant, and wait until it is ready", Restart);
}

}  // namespace mtp::cli
