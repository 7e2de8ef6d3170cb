// `tenant set`: other settings and secrets for one tenant. Three groups of flags, each an operation
// of its own: memory and labels, the failover policy, and what takes a new container.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/secret_input.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/set_text.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/durations.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::TenantService::Stub;
using TextMap = google::protobuf::Map<std::string, std::string>;

// Tries to change labels or the environment while others change the tenant.
constexpr int kMaxTries = 4;

struct SetOptions {
  std::string name;
  std::optional<int64_t> memory_limit_mib;
  std::optional<int64_t> memory_reservation_mib;
  std::vector<std::string> labels;
  std::vector<std::string> removed_labels;
  std::string failover;
  std::string telegram_token_file;
  std::string anthropic_key_file;
  std::string openai_key_file;
  std::string openrouter_key_file;
  std::vector<std::string> removed_keys;
  bool new_gateway_token = false;
  std::vector<std::string> variables;
  std::vector<std::string> removed_variables;
  std::string publish_port;
  bool keep = false;
  std::string soak;
  ChangeOptions change;
};

bool ChangesLabels(const SetOptions& options) {
  return !options.labels.empty() || !options.removed_labels.empty();
}
bool ChangesEnvironment(const SetOptions& options) {
  return !options.variables.empty() || !options.removed_variables.empty();
}

// A flag with a file, the mask's path of its secret, and how people call it.
struct SecretChange {
  std::string file;
  const char* path;
  const char* what;
  std::string* field;
};

absl::Status ReadSecrets(const Environment& environment, const SetOptions& options,
                         v1::UpdateTenantRequest* request) {
  v1::TenantSecrets& secrets = *request->mutable_secrets();
  const std::vector<SecretChange> changes = {
      {options.telegram_token_file, "telegram_token", "the bot token",
       secrets.mutable_telegram_token()},
      {options.anthropic_key_file, "anthropic_key", "the Anthropic key",
       secrets.mutable_anthropic_key()},
      {options.openai_key_file, "openai_key", "the OpenAI key", secrets.mutable_openai_key()},
      {options.openrouter_key_file, "openrouter_key", "the OpenRouter key",
       secrets.mutable_openrouter_key()}};
  std::vector<SecretFlag> flags;
  for (const SecretChange& change : changes) {
    const bool removed = std::any_of(
        options.removed_keys.begin(), options.removed_keys.end(),
        [&](const std::string& key) { return absl::StrCat(key, "_key") == change.path; });
    if (removed && !change.file.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(change.what, " is both set and removed"));
    }
    if (removed || !change.file.empty()) {
      request->mutable_update_mask()->add_paths(absl::StrCat("secrets.", change.path));
    }
    flags.push_back({change.file, change.what, change.field});
  }
  if (options.new_gateway_token) {
    request->mutable_update_mask()->add_paths("secrets.gateway_token");
  }
  return ReadSecretFlags(environment, flags);
}

void ReadSizes(const SetOptions& options, v1::UpdateTenantRequest* request) {
  if (options.memory_limit_mib) {
    request->mutable_spec()->set_memory_limit_mib(*options.memory_limit_mib);
    request->mutable_update_mask()->add_paths("memory_limit_mib");
  }
  if (options.memory_reservation_mib) {
    request->mutable_spec()->set_memory_reservation_mib(*options.memory_reservation_mib);
    request->mutable_update_mask()->add_paths("memory_reservation_mib");
  }
  if (ChangesLabels(options)) request->mutable_update_mask()->add_paths("labels");
}

// What takes a new container.
absl::Status ReadMaking(const Environment& environment, const SetOptions& options,
                        v1::UpdateTenantRequest* request) {
  const int before = request->update_mask().paths_size();
  if (ChangesEnvironment(options)) request->mutable_update_mask()->add_paths("environment");
  if (!options.publish_port.empty()) {
    request->mutable_spec()->set_port_unpublished(options.publish_port == "off");
    request->mutable_update_mask()->add_paths("port_unpublished");
  }
  MTP_RETURN_IF_ERROR(ReadSecrets(environment, options, request));
  if (request->update_mask().paths_size() == before) {
    if (!options.keep && options.soak.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--keep and --soak go with secrets, --env, --remove-env or --publish-port");
  }
  request->set_keep_on_failure(options.keep);
  if (options.soak.empty()) return absl::OkStatus();
  if (options.keep) return absl::InvalidArgumentError("--keep leaves nothing for --soak to decide");
  MTP_ASSIGN_OR_RETURN(const absl::Duration soak, ParseWaitOrNone(options.soak, "--soak"));
  *request->mutable_soak() = ToDuration(soak);
  return absl::OkStatus();
}

// What does not depend on the tenant as it is.
absl::Status ReadSettings(const Environment& environment, const SetOptions& options,
                          v1::UpdateTenantRequest* request) {
  ReadSizes(options, request);
  const int sizes = request->update_mask().paths_size();
  MTP_RETURN_IF_ERROR(ReadMaking(environment, options, request));
  const int all = request->update_mask().paths_size();
  if (!options.failover.empty()) {
    MTP_ASSIGN_OR_RETURN(const v1::FailoverPolicy policy, ParseFailover(options.failover));
    request->mutable_spec()->set_failover_policy(policy);
    request->mutable_update_mask()->add_paths("failover_policy");
    if (all > 0) {
      return absl::InvalidArgumentError(
          "--failover is set by itself; set the rest in another call");
    }
  }
  if (sizes > 0 && all > sizes) {
    return absl::InvalidArgumentError(
        "secrets, environment and port take a new container, memory and labels do not; set them "
        "in two calls");
  }
  if (request->update_mask().paths_size() > 0) return absl::OkStatus();
  return WithHint(absl::InvalidArgumentError("there is nothing to set"),
                  "`mtp-cli tenant set --help` lists what can be; another image is `update`'s");
}

// `present`, with those of the command line put in and taken out.
absl::Status Merge(const TextMap& present, const std::vector<std::string>& given_texts,
                   const std::vector<std::string>& removed, const char* flag, const char* what,
                   TextMap* merged) {
  TextMap given;
  MTP_RETURN_IF_ERROR(ParseLabels(given_texts, flag, &given));
  *merged = present;
  for (const auto& [key, value] : given) (*merged)[key] = value;
  for (const std::string& key : removed) {
    if (given.count(key) > 0) {
      return absl::InvalidArgumentError(absl::StrCat(what, " ", key, " is both set and removed"));
    }
    merged->erase(key);
  }
  return absl::OkStatus();
}

// Labels and environment are sent as a whole: the tenant's, with what is changed.
absl::Status ReadMaps(Invocation& invocation, const SetOptions& options,
                      v1::UpdateTenantRequest* request) {
  v1::GetTenantRequest get;
  get.set_name(request->name());
  const auto tenant = Call(invocation, &Stub::GetTenant, get);
  if (absl::IsNotFound(tenant.status())) {
    return WithHint(tenant.status(), "`mtp-cli status` lists all");
  }
  if (!tenant.ok()) return tenant.status();
  v1::TenantSpec& spec = *request->mutable_spec();
  if (ChangesLabels(options)) {
    MTP_RETURN_IF_ERROR(Merge(tenant->spec().labels(), options.labels, options.removed_labels,
                              "--label", "label", spec.mutable_labels()));
  }
  if (ChangesEnvironment(options)) {
    MTP_RETURN_IF_ERROR(Merge(tenant->spec().environment(), options.variables,
                              options.removed_variables, "--env", "variable",
                              spec.mutable_environment()));
  }
  // A repetition under a request id has to be the same request, whatever happened meanwhile.
  if (options.change.request_id.empty()) request->set_etag(tenant->etag());
  return absl::OkStatus();
}

// Also before anything is asked of the controller: a wrong flag is told without it.
absl::Status CheckMaps(const SetOptions& options) {
  TextMap unused;
  MTP_RETURN_IF_ERROR(
      Merge({}, options.labels, options.removed_labels, "--label", "label", &unused));
  return Merge({}, options.variables, options.removed_variables, "--env", "variable", &unused);
}

absl::StatusOr<v1::Operation> Send(Invocation& invocation, const SetOptions& options,
                                   v1::UpdateTenantRequest& request) {
  absl::StatusOr<v1::Operation> accepted;
  for (int i = 0; i < kMaxTries; ++i) {
    if (ChangesLabels(options) || ChangesEnvironment(options)) {
      MTP_RETURN_IF_ERROR(ReadMaps(invocation, options, &request));
    }
    accepted = Call(invocation, &Stub::UpdateTenant, request);
    if (!absl::IsAborted(accepted.status())) break;
  }
  return accepted;
}

int PrintPreview(Invocation& invocation, const std::string& tenant, const v1::Operation& preview) {
  Json json = {{"tenant", tenant}, {"dry_run", true}};
  if (!preview.message().empty()) json["message"] = preview.message();
  invocation.Print(json, [&] {
    return preview.message().empty()
               ? std::string("Nothing speaks against it; nothing was changed.\n")
               : absl::StrCat(tenant, ": ", Visible(preview.message()), ". Nothing was changed.\n");
  });
  return 0;
}

absl::StatusOr<int> Set(Invocation& invocation, const SetOptions& options) {
  v1::UpdateTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(options.name));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  MTP_RETURN_IF_ERROR(CheckMaps(options));
  MTP_RETURN_IF_ERROR(ReadSettings(invocation.environment, options, &request));
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  const std::string tenant = ShortName(request.name());
  const auto accepted = Send(invocation, options, request);
  WipeTenantSecrets(request.mutable_secrets());
  if (!accepted.ok()) return accepted.status();
  if (options.change.dry_run) return PrintPreview(invocation, tenant, *accepted);
  return Conclude(
      invocation, *accepted, options.change,
      [&](const v1::Operation& operation) -> Json {
        return {{"tenant", tenant}, {"operation", OperationJson(operation)}};
      },
      [&](const v1::Operation& operation) {
        return SetText(tenant, options.failover, operation, invocation.now(), invocation.colour());
      });
}

void AddSizes(CLI::App* set, SetOptions* options) {
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
}

void AddMaking(CLI::App* set, SetOptions* options) {
  const auto secret = [set](const char* flag, std::string& file, const char* what) {
    set->add_option(flag, file, absl::StrCat("File with ", what, "; - is standard input"))
        ->type_name("FILE");
  };
  secret("--telegram-token-file", options->telegram_token_file, "another bot token");
  secret("--anthropic-key-file", options->anthropic_key_file, "another Anthropic key");
  secret("--openai-key-file", options->openai_key_file, "another OpenAI key");
  secret("--openrouter-key-file", options->openrouter_key_file, "another OpenRouter key");
  set->add_option("--remove-key", options->removed_keys, "Key to take away; may be repeated")
      ->type_name("anthropic|openai|openrouter")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"anthropic", "openai", "openrouter"}));
  set->add_flag("--new-gateway-token", options->new_gateway_token, "Make it another gateway token");
  set->add_option("--env", options->variables,
                  "Variable of its environment, of those that the fleet allows; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  set->add_option("--remove-env", options->removed_variables, "Variable to remove; may be repeated")
      ->type_name("K")
      ->allow_extra_args(false);
  set->add_option("--publish-port", options->publish_port,
                  "Whether its gateway's port is published on the host's loopback")
      ->type_name("on|off")
      ->check(CLI::IsMember({"on", "off"}));
  set->add_flag("--keep", options->keep,
                "Keep the new secrets and settings also when it is not ready with them");
  set->add_option("--soak", options->soak,
                  "How long it has to stay ready with them before the former ones are gone "
                  "(default: 30s)")
      ->type_name("TIME");
}

}  // namespace

void AddTenantSet(CLI::App& tenant, Chosen& chosen) {
  auto [set, options] = AddCommand<SetOptions>(
      tenant, chosen, "set",
      "Change a tenant's memory, labels and failover policy without a restart; its secrets, "
      "environment and port with a new container",
      Set);
  set->add_option("NAME", options->name, "Tenant")->required();
  AddSizes(set, options.get());
  set->add_option("--failover", options->failover,
                  "What becomes of it when its host is lost: stay, or failover to another host "
                  "from its last backup")
      ->type_name("stay|failover")
      ->check(CLI::IsMember({"stay", "failover"}));
  AddMaking(set, options.get());
  AddChangeFlags(set, &options->change);
}

}  // namespace mtp::cli
