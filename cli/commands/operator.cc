#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/failure.h"
#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/atomic_file.h"
#include "common/base/names.h"
#include "common/base/timestamps.h"
#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::FleetService::Stub;

struct NoOptions {};

Json OperatorJson(const v1::Operator& who) {
  return {
      {"name", who.name()},
      {"role", RoleName(who.role())},
      {"created", TimeJson(who.has_create_time(), who.create_time())},
      {"certificate_expires",
       TimeJson(who.has_certificate_expire_time(), who.certificate_expire_time())},
  };
}

absl::StatusOr<int> List(Invocation& invocation, const NoOptions&) {
  MTP_ASSIGN_OR_RETURN(const v1::ListOperatorsResponse response,
                       Call(invocation, &Stub::ListOperators, v1::ListOperatorsRequest()));
  Json operators = Json::array();
  Table table({{"OPERATOR", 0, 12}, {"ROLE"}, {"ADDED", 2}, {"CERTIFICATE UNTIL", 1}});
  for (const v1::Operator& who : response.operators()) {
    operators.push_back(OperatorJson(who));
    table.Add(
        {{who.name(), Tone::kStrong},
         {std::string(RoleName(who.role()))},
         {who.has_create_time() ? Rfc3339(FromTimestamp(who.create_time())) : ""},
         {who.has_certificate_expire_time() ? Rfc3339(FromTimestamp(who.certificate_expire_time()))
                                            : ""}});
  }
  invocation.Print({{"operators", std::move(operators)}},
                   [&] { return table.Render(invocation.columns(), invocation.colour()); });
  return 0;
}

struct AddOptions {
  std::string name;
  std::string role;
  std::string out;
  std::string save_context;
};

v1::Role RoleOf(const std::string& text) {
  if (text == "viewer") return v1::ROLE_VIEWER;
  if (text == "operator") return v1::ROLE_OPERATOR;
  if (text == "admin") return v1::ROLE_ADMIN;
  return v1::ROLE_UNSPECIFIED;
}

// Adds the new identity's context beside those that are there; the current one stays.
absl::Status SaveContext(Invocation& invocation, const std::string& name,
                         const std::string& folder) {
  MTP_ASSIGN_OR_RETURN(const Endpoint own,
                       ResolveEndpoint(invocation.environment, invocation.endpoint));
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  return ChangeContextFile(path, [&](ContextFile& file) {
    file.contexts[name] = {own.controller, folder};
    if (file.current.empty()) file.current = name;
    return absl::OkStatus();
  });
}

absl::StatusOr<std::string> IdentityFolderFor(const Invocation& invocation,
                                              const AddOptions& options) {
  if (!options.out.empty()) {
    std::error_code failed;
    return std::filesystem::absolute(options.out, failed).lexically_normal().string();
  }
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  return absl::StrCat(FolderOf(path), "/identities/", options.name);
}

absl::StatusOr<int> AddOperatorCommand(Invocation& invocation, const AddOptions& options) {
  MTP_ASSIGN_OR_RETURN(const OperatorName name, OperatorName::Parse(options.name));
  if (!options.save_context.empty()) {
    MTP_RETURN_IF_ERROR(
        OperatorName::Parse(options.save_context).status());  // one rule for all names
  }
  MTP_ASSIGN_OR_RETURN(const std::string folder, IdentityFolderFor(invocation, options));
  if (access(tls::IdentityFolder(folder).key.c_str(), F_OK) == 0) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(folder, " holds an identity already")),
                    "--out FOLDER writes the new one elsewhere");
  }
  MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
  v1::AddOperatorRequest request;
  request.set_operator_id(name.value());
  request.set_role(RoleOf(options.role));
  MTP_ASSIGN_OR_RETURN(*request.mutable_csr_pem(), tls::NewRequest(key, name.value()));
  MTP_ASSIGN_OR_RETURN(const v1::AddOperatorResponse response,
                       Call(invocation, &Stub::AddOperator, request));
  MTP_RETURN_IF_ERROR(
      tls::WriteIdentity(folder, key, response.certificate_pem(), response.ca_pem()));
  if (!options.save_context.empty())
    MTP_RETURN_IF_ERROR(SaveContext(invocation, options.save_context, folder));

  Json json = OperatorJson(response.operator_());
  json["identity"] = folder;
  invocation.Print(json, [&] {
    std::string text =
        absl::StrCat(name.value(), " is ", options.role, "; the identity is in ", folder, "\n");
    if (!options.save_context.empty()) {
      absl::StrAppend(&text, "Use it here: mtp-cli --context ", options.save_context, " status\n");
    } else {
      absl::StrAppend(
          &text,
          "Hand the folder over safely (its key is a secret); there: mtp-cli context add NAME "
          "--controller ADDRESS --identity FOLDER\n");
    }
    return text;
  });
  return 0;
}

struct RemoveOptions {
  std::string name;
};

absl::StatusOr<int> RemoveOperatorCommand(Invocation& invocation, const RemoveOptions& options) {
  MTP_ASSIGN_OR_RETURN(const OperatorName name, OperatorName::Parse(options.name));
  v1::RemoveOperatorRequest request;
  request.set_operator_id(name.value());
  MTP_RETURN_IF_ERROR(Call(invocation, &Stub::RemoveOperator, request).status());
  invocation.Print({{"operator", name.value()}, {"removed", true}},
                   [&] { return absl::StrCat(name.value(), " has no access any more\n"); });
  return 0;
}

}  // namespace

void AddOperator(CLI::App& root, Chosen& chosen) {
  CLI::App& group = *root.add_subcommand("operator", "People and scripts that may use the fleet");
  group.require_subcommand(1);
  AddCommand<NoOptions>(group, chosen, "list", "Show all operators", List);
  auto [add, add_options] = AddCommand<AddOptions>(
      group, chosen, "add", "Add an operator, or change a role; the key is made here",
      AddOperatorCommand);
  add->add_option("NAME", add_options->name, "Operator")->required();
  add->add_option("--role", add_options->role,
                  "viewer reads, operator changes tenants, admin does all")
      ->required()
      ->check(CLI::IsMember({"viewer", "operator", "admin"}))
      ->type_name("ROLE");
  add->add_option("--out", add_options->out,
                  "Folder for the identity; else identities/NAME beside the context file")
      ->type_name("FOLDER");
  add->add_option("--save-context", add_options->save_context, "Also add a context of this name")
      ->type_name("NAME");
  auto [remove, remove_options] = AddCommand<RemoveOptions>(
      group, chosen, "remove", "Take an operator's access away at once", RemoveOperatorCommand);
  remove->add_option("NAME", remove_options->name, "Operator")->required();
}

}  // namespace mtp::cli
