#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/secret_input.h"
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

struct ProvisionOptions {
  std::string name;
  std::string positional_token;
  std::string positional_key;
  std::string telegram_token_file;
  std::string anthropic_key_file;
  std::string openai_key_file;
  std::string openrouter_key_file;
  std::string host;
  int64_t memory_mib = 0;
  int64_t memory_limit_mib = 0;
  std::string image;
  std::vector<std::string> labels;
  std::vector<std::string> host_labels;
  std::string anti_affinity;
  std::string failover;
  std::vector<std::string> variables;
  std::string publish_port;
  std::string telegram_api;
  std::string anthropic_api;
  bool use_kept_data = false;
  bool set_aside_kept_data = false;
  ChangeOptions change;
};

absl::Status ReadSpec(const ProvisionOptions& options, v1::TenantSpec* spec) {
  if (!options.host.empty()) MTP_RETURN_IF_ERROR(HostName::Parse(options.host).status());
  spec->set_host(options.host);
  spec->set_memory_reservation_mib(options.memory_mib);
  spec->set_memory_limit_mib(options.memory_limit_mib);
  spec->set_image(options.image);
  spec->set_anti_affinity_label(options.anti_affinity);
  MTP_ASSIGN_OR_RETURN(const v1::FailoverPolicy failover, ParseFailover(options.failover));
  spec->set_failover_policy(failover);
  spec->set_telegram_api_root(options.telegram_api);
  spec->set_anthropic_api_root(options.anthropic_api);
  spec->set_port_unpublished(options.publish_port == "off");
  MTP_RETURN_IF_ERROR(ParseLabels(options.variables, "--env", spec->mutable_environment()));
  MTP_RETURN_IF_ERROR(ParseLabels(options.labels, "--label", spec->mutable_labels()));
  return ParseLabels(options.host_labels, "--host-label", spec->mutable_host_labels());
}

absl::Status ReadKey(const Environment& environment, const std::string& file,
                     absl::string_view what, std::string* field) {
  if (file.empty()) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const SecretString secret, ReadSecret(environment, file, what));
  *field = std::string(secret.Reveal());
  return absl::OkStatus();
}

// The bot token: from its file, as an argument, or typed on a terminal.
absl::Status ReadToken(Invocation& invocation, const ProvisionOptions& options,
                       std::string* field) {
  const Environment& environment = invocation.environment;
  if (!options.telegram_token_file.empty()) {
    return ReadKey(environment, options.telegram_token_file, "the bot token", field);
  }
  if (!options.positional_token.empty()) {
    MTP_ASSIGN_OR_RETURN(const SecretString token,
                         CheckSecret(SecretString(options.positional_token), "the bot token"));
    *field = std::string(token.Reveal());
    return absl::OkStatus();
  }
  if (options.change.dry_run)
    return absl::OkStatus();  // where it would go does not depend on the bot
  if (!PersonIsThere(invocation)) {
    return WithHint(absl::InvalidArgumentError("no bot token was given"),
                    "--telegram-token-file FILE, or - to read it from standard input");
  }
  return AskForToken(invocation, options.name, field);
}

absl::Status ReadSecrets(Invocation& invocation, const ProvisionOptions& options,
                         v1::TenantSecrets* secrets) {
  const Environment& environment = invocation.environment;
  int from_input = 0;
  for (const std::string* file : {&options.telegram_token_file, &options.anthropic_key_file,
                                  &options.openai_key_file, &options.openrouter_key_file}) {
    if (*file == "-") ++from_input;
  }
  if (from_input > 1)
    return absl::InvalidArgumentError("only one secret can come from standard input");
  if (!options.positional_token.empty()) {
    invocation.Warn(
        "secrets on the command line are seen by every user of this machine and stay in the "
        "shell's "
        "history; use --telegram-token-file and --anthropic-key-file");
    if (!options.telegram_token_file.empty()) {
      return absl::InvalidArgumentError(
          "the bot token is given twice: as an argument and as a file");
    }
  }
  MTP_RETURN_IF_ERROR(ReadToken(invocation, options, secrets->mutable_telegram_token()));
  if (!options.positional_key.empty()) {
    if (!options.anthropic_key_file.empty()) {
      return absl::InvalidArgumentError(
          "the Anthropic key is given twice: as an argument and as a file");
    }
    MTP_ASSIGN_OR_RETURN(const SecretString key,
                         CheckSecret(SecretString(options.positional_key), "the Anthropic key"));
    secrets->set_anthropic_key(std::string(key.Reveal()));
  }
  MTP_RETURN_IF_ERROR(ReadKey(environment, options.anthropic_key_file, "the Anthropic key",
                              secrets->mutable_anthropic_key()));
  MTP_RETURN_IF_ERROR(ReadKey(environment, options.openai_key_file, "the OpenAI key",
                              secrets->mutable_openai_key()));
  return ReadKey(environment, options.openrouter_key_file, "the OpenRouter key",
                 secrets->mutable_openrouter_key());
}

// Host, port and container are null until they are known.
Json ProvisionJson(const std::string& tenant, const v1::Operation& operation,
                   const v1::PlacementDecision& placement) {
  const auto known = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  int port = 0;
  const bool has_port = absl::SimpleAtoi(ResultOf(operation, "port"), &port);
  std::string host = ResultOf(operation, "host");
  if (host.empty()) host = operation.host().empty() ? placement.host() : operation.host();
  return {
      {"tenant", tenant},
      {"host", known(host)},
      {"container", known(ResultOf(operation, "container"))},
      {"port", has_port ? Json(port) : Json(nullptr)},
      {"operation", OperationJson(operation)},
      {"placement", PlacementJson(placement)},
  };
}

std::string ReadyText(const std::string& tenant, bool published, const v1::Operation& operation,
                      absl::Time now, bool colour) {
  const std::string host =
      ResultOf(operation, "host").empty() ? operation.host() : ResultOf(operation, "host");
  std::string text = absl::StrCat(Paint(tenant, Tone::kStrong, colour), " is ",
                                  Paint("ready", Tone::kGood, colour), " on ", Visible(host),
                                  " after ", HumanDuration(Elapsed(operation, now)), "\n");
  const auto line = [&](absl::string_view title, const std::string& value) {
    if (!value.empty())
      absl::StrAppend(&text, "  ", absl::StrFormat("%-10s", title), Visible(value), "\n");
  };
  line("container", ResultOf(operation, "container"));
  if (const std::string port = ResultOf(operation, "port"); published && !port.empty()) {
    line("gateway", absl::StrCat("127.0.0.1:", port, " on ", host));
  }
  line("log", absl::StrCat("mtp-cli logs ", tenant, " -f"));
  return text;
}

absl::Status Explained(absl::Status status) {
  if (status.code() == absl::StatusCode::kFailedPrecondition &&
      absl::StrContains(status.message(), "kept")) {
    return WithHint(
        std::move(status),
        "--use-kept-data goes on with it, --set-aside-kept-data keeps it aside and begins empty");
  }
  if (status.code() == absl::StatusCode::kAlreadyExists) {
    return WithHint(std::move(status), "`mtp-cli status` shows every tenant; nothing was changed");
  }
  return status;
}

absl::StatusOr<int> Provision(Invocation& invocation, const ProvisionOptions& options) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(options.name));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(name.value());
  MTP_RETURN_IF_ERROR(ReadSpec(options, request.mutable_spec()));
  MTP_RETURN_IF_ERROR(ReadSecrets(invocation, options, request.mutable_secrets()));
  if (options.use_kept_data) request.set_kept_data(v1::KEPT_DATA_USE);
  if (options.set_aside_kept_data) request.set_kept_data(v1::KEPT_DATA_SET_ASIDE);
  request.set_validate_only(options.change.dry_run);
  request.set_request_id(RequestId(invocation, options.change));
  const auto response = Call(invocation, &v1::TenantService::Stub::ProvisionTenant, request);
  WipeTenantSecrets(request.mutable_secrets());
  if (!response.ok()) return Explained(response.status());

  if (options.change.dry_run) {
    const v1::PlacementDecision& placement = response->placement();
    invocation.Print(
        {{"tenant", name.value()}, {"dry_run", true}, {"placement", PlacementJson(placement)}},
        [&] { return PlacementText(placement, invocation.colour()); });
    return placement.host().empty() ? static_cast<int>(ExitCode::kRefused) : 0;
  }
  return Conclude(
      invocation, response->operation(), options.change,
      [&](const v1::Operation& operation) {
        return ProvisionJson(name.value(), operation, response->placement());
      },
      [&](const v1::Operation& operation) {
        return ReadyText(name.value(), !request.spec().port_unpublished(), operation,
                         invocation.now(), invocation.colour());
      });
}

}  // namespace

void AddProvision(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<ProvisionOptions>(
      root, chosen, "provision", "Place and start a new tenant, and wait until it is ready",
      Provision);
  command
      ->add_option("NAME", options->name, "Lowercase letters, digits and inner hyphens, at most 40")
      ->required();
  command->add_option("TOKEN", options->positional_token,
                      "Bot token; prefer --telegram-token-file");
  command->add_option("KEY", options->positional_key, "Anthropic key; prefer --anthropic-key-file");
  const auto secret = [&command = command](const char* flag, std::string& file, const char* what) {
    command->add_option(flag, file, std::string(what) + "; - is standard input")->type_name("FILE");
  };
  secret("--telegram-token-file", options->telegram_token_file, "File with the bot token");
  secret("--anthropic-key-file", options->anthropic_key_file, "File with the Anthropic key");
  secret("--openai-key-file", options->openai_key_file, "File with the OpenAI key");
  secret("--openrouter-key-file", options->openrouter_key_file, "File with the OpenRouter key");
  command->add_option("--host", options->host, "Only this host will do")->type_name("HOST");
  command->add_option("--memory", options->memory_mib, "Memory to reserve on the host")
      ->type_name("MIB")
      ->check(CLI::PositiveNumber);
  command->add_option("--memory-limit", options->memory_limit_mib, "Most memory that it may use")
      ->type_name("MIB")
      ->check(CLI::PositiveNumber);
  command->add_option("--image", options->image, "Container image")->type_name("REF");
  command->add_option("--label", options->labels, "Label of the tenant; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command
      ->add_option("--host-label", options->host_labels,
                   "Label that the host must carry; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command
      ->add_option("--anti-affinity", options->anti_affinity,
                   "Keep tenants with the same value of this label on different hosts")
      ->type_name("KEY");
  command
      ->add_option("--failover", options->failover,
                   "What becomes of it when its host is lost (default: stay)")
      ->type_name("stay|failover")
      ->check(CLI::IsMember({"stay", "failover"}));
  command
      ->add_option("--env", options->variables,
                   "Variable of its environment, of those that the fleet allows; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command
      ->add_option("--publish-port", options->publish_port,
                   "Whether its gateway's port is published on the host's loopback (default: on)")
      ->type_name("on|off")
      ->check(CLI::IsMember({"on", "off"}));
  command->add_option("--telegram-api", options->telegram_api, "Root of another Bot API")
      ->type_name("URL");
  command->add_option("--anthropic-api", options->anthropic_api, "Root of another Anthropic API")
      ->type_name("URL");
  auto* use = command->add_flag("--use-kept-data", options->use_kept_data,
                                "Go on with the data that `remove --keep-data` left");
  command
      ->add_flag("--set-aside-kept-data", options->set_aside_kept_data,
                 "Keep such data aside and begin empty")
      ->excludes(use);
  AddChangeFlags(command, &options->change);
}

}  // namespace mtp::cli
