#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "cli/commands/command.h"
#include "cli/output/failure.h"
#include "cli/output/table.h"
#include "common/base/atomic_file.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "common/tls/keys.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct NamedOptions {
  std::string name;
  bool use = false;
};
struct NoOptions {};

// The context that counts now, as ResolveEndpoint chooses it.
std::string Current(const Invocation& invocation, const ContextFile& file) {
  if (!invocation.endpoint.context.empty()) return invocation.endpoint.context;
  return invocation.environment.variable("MTP_CONTEXT").value_or(file.current);
}

absl::Status Unknown(const std::string& name) {
  return WithHint(absl::NotFoundError(absl::StrCat("there is no context ", name)),
                  "`mtp-cli context list` shows what there is");
}

absl::StatusOr<int> List(Invocation& invocation, const NoOptions&) {
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  MTP_ASSIGN_OR_RETURN(const ContextFile file, ReadContextFile(path));
  const std::string current = Current(invocation, file);
  Json contexts = Json::array();
  Table table({{" "}, {"CONTEXT", 0, 12}, {"CONTROLLER", 1}, {"IDENTITY", 2, 20}});
  for (const auto& [name, endpoint] : file.contexts) {
    contexts.push_back({{"name", name},
                        {"controller", endpoint.controller},
                        {"identity", endpoint.identity_folder},
                        {"current", name == current}});
    table.Add({{name == current ? "*" : ""},
               {name, Tone::kStrong},
               {endpoint.controller},
               {endpoint.identity_folder, Tone::kDim}});
  }
  invocation.Print({{"contexts", std::move(contexts)}}, [&] {
    return table.empty() ? absl::StrCat("No contexts in ", path, "\n")
                         : table.Render(invocation.columns(), invocation.colour());
  });
  return 0;
}

// Whether the key is no one else's to read, and whom the certificate names until when.
Json IdentityFacts(const Endpoint& endpoint) {
  const auto identity = tls::ReadIdentity(endpoint.identity_folder);
  if (!identity.ok()) return {{"problem", std::string(identity.status().message())}};
  const tls::CertificateFacts& facts = identity->facts;
  return {
      {"name", facts.identity.ToString()},
      {"fleet", facts.identity.fleet},
      {"expires", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", facts.not_after, absl::UTCTimeZone())}};
}

absl::StatusOr<int> Show(Invocation& invocation, const NamedOptions& options) {
  EndpointFlags flags = invocation.endpoint;
  if (!options.name.empty()) flags = {.context = options.name};
  MTP_ASSIGN_OR_RETURN(const Endpoint endpoint, ResolveEndpoint(invocation.environment, flags));
  const Json facts = IdentityFacts(endpoint);
  invocation.Print(
      {{"controller", endpoint.controller},
       {"identity", endpoint.identity_folder},
       {"certificate", facts}},
      [&] {
        std::string text = absl::StrCat("controller   ", endpoint.controller, "\nidentity     ",
                                        endpoint.identity_folder, "\n");
        for (const auto& [key, value] : facts.items()) {
          absl::StrAppend(
              &text, key,
              std::string(std::max<size_t>(1, 13 - std::min<size_t>(12, key.size())), ' '),
              value.get<std::string>(), "\n");
        }
        return text;
      });
  return 0;
}

absl::StatusOr<int> Use(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  MTP_RETURN_IF_ERROR(ChangeContextFile(path, [&](ContextFile& file) {
    if (!file.contexts.contains(options.name)) return Unknown(options.name);
    file.current = options.name;
    return absl::OkStatus();
  }));
  invocation.Print({{"current", options.name}},
                   [&] { return absl::StrCat("Now using ", options.name, "\n"); });
  return 0;
}

absl::StatusOr<int> Add(Invocation& invocation, const NamedOptions& options) {
  const absl::StatusOr<OperatorName> name =
      OperatorName::Parse(options.name);  // the same rule as for all names
  if (!name.ok())
    return absl::InvalidArgumentError(
        "a context's name has lowercase letters, digits and inner hyphens, at most 40");
  if (invocation.endpoint.controller.empty() || invocation.endpoint.identity.empty()) {
    return absl::InvalidArgumentError(
        "a context needs --controller ADDRESS:PORT and --identity FOLDER");
  }
  std::error_code failed;
  const std::string folder =
      std::filesystem::absolute(invocation.endpoint.identity, failed).lexically_normal();
  if (access(tls::IdentityFolder(folder).certificate.c_str(), R_OK) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " holds no identity: cert.pem cannot be read"));
  }
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  bool current = false;
  MTP_RETURN_IF_ERROR(ChangeContextFile(path, [&](ContextFile& file) {
    file.contexts[options.name] = {invocation.endpoint.controller, folder};
    if (file.current.empty() || options.use) file.current = options.name;
    current = file.current == options.name;
    return absl::OkStatus();
  }));
  invocation.Print({{"name", options.name}, {"current", current}},
                   [&] { return absl::StrCat("Added ", options.name, " to ", path, "\n"); });
  return 0;
}

absl::StatusOr<int> Remove(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(invocation.environment));
  MTP_RETURN_IF_ERROR(ChangeContextFile(path, [&](ContextFile& file) {
    if (file.contexts.erase(options.name) == 0) return Unknown(options.name);
    if (file.current == options.name) file.current.clear();
    return absl::OkStatus();
  }));
  invocation.Print({{"removed", options.name}}, [&] {
    return absl::StrCat("Removed ", options.name, "; its identity folder is untouched\n");
  });
  return 0;
}

}  // namespace

void AddContext(CLI::App& root, Chosen& chosen) {
  CLI::App& context = *root.add_subcommand("context", "Controllers that this user knows");
  context.require_subcommand(1);
  AddCommand<NoOptions>(context, chosen, "list", "Show all contexts", List);
  const auto add = [&](const char* name, const char* description,
                       absl::StatusOr<int> (*run)(Invocation&, const NamedOptions&),
                       bool required) {
    auto added = AddCommand<NamedOptions>(context, chosen, name, description, run);
    added.command->add_option("NAME", added.options->name, "Context")->required(required);
    return added;
  };
  add("show", "Show a context and whose certificate it has", Show, false);
  add("use", "Use a context from now on", Use, true);
  auto added =
      add("add", "Add a context, or change it: add NAME --controller ADDRESS --identity FOLDER",
          Add, true);
  added.command->add_flag("--use", added.options->use,
                          "Use it from now on; the first one is used by itself");
  add("remove", "Forget a context", Remove, true);
}

}  // namespace mtp::cli
