#include <absl/strings/str_cat.h>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/commands/secret_input.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/names.h"
#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct RestoreOptions {
  std::string name;
  std::string from;
  std::string as;
  std::string host;
  std::string telegram_token_file;
  std::string anthropic_key_file;
  std::string openai_key_file;
  std::string openrouter_key_file;
  bool yes = false;
  ChangeOptions change;
};

// What is restored into what.
struct Restore {
  v1::Backup backup;
  std::string tenant;  // short name of the one that gets the data
  bool exists = false;
  std::string current_host;  // of one that exists
};

bool HasSecretFlags(const RestoreOptions& options) {
  return !options.telegram_token_file.empty() || !options.anthropic_key_file.empty() ||
         !options.openai_key_file.empty() || !options.openrouter_key_file.empty();
}

// The named backup, which must be of that tenant; else its newest.
absl::StatusOr<v1::Backup> FindBackup(Invocation& invocation, const RestoreOptions& options) {
  if (!options.from.empty()) {
    MTP_ASSIGN_OR_RETURN(v1::Backup backup, GetBackup(invocation, options.from));
    if (backup.tenant() == options.name) return backup;
    return WithHint(absl::InvalidArgumentError(absl::StrCat("that backup holds ", backup.tenant(),
                                                            ", not ", options.name)),
                    absl::StrCat("`mtp-cli backup list ", options.name, "` shows those of ",
                                 options.name, "; --as restores into another tenant"));
  }
  return NewestBackup(invocation, options.name);
}

absl::Status FindTenant(Invocation& invocation, Restore* restore) {
  v1::GetTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTenant(restore->tenant));
  const auto tenant = Call(invocation, &v1::TenantService::Stub::GetTenant, request);
  if (absl::IsNotFound(tenant.status())) return absl::OkStatus();
  MTP_RETURN_IF_ERROR(tenant.status());
  restore->exists = true;
  restore->current_host = tenant->status().host();
  return absl::OkStatus();
}

// Nobody's data is replaced without a word from a person, or the flag of a script.
absl::Status ConfirmReplacing(Invocation& invocation, const RestoreOptions& options,
                              const Restore& restore) {
  if (!restore.exists || options.yes || options.change.dry_run) return absl::OkStatus();
  if (!PersonIsThere(invocation)) {
    return WithHint(absl::InvalidArgumentError(
                        absl::StrCat(restore.tenant,
                                     " exists, and its data would be replaced; nothing was "
                                     "changed")),
                    "--yes says that it may be");
  }
  return Confirm(invocation,
                 absl::StrCat("Replace the data of ", restore.tenant, " with the backup ",
                              Visible(BackupTitle(restore.backup, invocation.now())),
                              "? What it has now is kept aside for a day. [y/N] "),
                 "nothing was restored");
}

// A second tenant cannot have the first one's bot.
absl::Status OwnBot(Invocation& invocation, const Restore& restore, std::string* field) {
  if (!PersonIsThere(invocation)) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(
                        restore.tenant, " is a new tenant and needs a bot of its own")),
                    "--telegram-token-file FILE, or - to read it from standard input");
  }
  return AskForToken(invocation, restore.tenant, field);
}

absl::Status ReadSecrets(const Invocation& invocation, const RestoreOptions& options,
                         v1::TenantSecrets* secrets) {
  return ReadSecretFlags(
      invocation.environment,
      {{options.telegram_token_file, "the bot token", secrets->mutable_telegram_token()},
       {options.anthropic_key_file, "the Anthropic key", secrets->mutable_anthropic_key()},
       {options.openai_key_file, "the OpenAI key", secrets->mutable_openai_key()},
       {options.openrouter_key_file, "the OpenRouter key", secrets->mutable_openrouter_key()}});
}

// Which backup was chosen, for one who did not name it.
void TellChoice(Invocation& invocation, const RestoreOptions& options, const Restore& restore) {
  if (!options.from.empty() || invocation.format != Format::kTable) return;
  invocation.environment.err << "The newest backup of " << options.name << ": "
                             << Visible(BackupTitle(restore.backup, invocation.now()))
                             << ", made on " << Visible(restore.backup.host()) << std::endl;
}

Json RestoreJson(const Restore& restore) {
  return {{"tenant", restore.tenant}, {"backup", ShortName(restore.backup.name())}};
}

std::string DoneText(Invocation& invocation, const Restore& restore,
                     const v1::Operation& operation) {
  const std::string host = operation.host().empty() ? restore.current_host : operation.host();
  std::string text =
      absl::StrCat(Paint(restore.tenant, Tone::kStrong, invocation.colour()), " is ",
                   Paint("restored", Tone::kGood, invocation.colour()),
                   host.empty() ? "" : absl::StrCat(" on ", Visible(host)), " from the backup ",
                   Visible(BackupTitle(restore.backup, invocation.now())), ", after ",
                   HumanDuration(Elapsed(operation, invocation.now())), "\n");
  if (restore.exists) {
    absl::StrAppend(&text, "  The data that it had before is kept aside on ",
                    host.empty() ? "its host" : Visible(host), " for a day.\n");
  }
  return text + ResultLines(operation);
}

absl::StatusOr<Restore> Prepare(Invocation& invocation, const RestoreOptions& options) {
  Restore restore;
  restore.tenant = options.as.empty() ? options.name : options.as;
  MTP_ASSIGN_OR_RETURN(restore.backup, FindBackup(invocation, options));
  MTP_RETURN_IF_ERROR(FindTenant(invocation, &restore));
  TellChoice(invocation, options, restore);
  MTP_RETURN_IF_ERROR(ConfirmReplacing(invocation, options, restore));
  if (restore.exists && HasSecretFlags(options)) {
    invocation.Warn(absl::StrCat(restore.tenant,
                                 " exists and keeps its own secrets; the given ones are not used"));
  }
  return restore;
}

absl::StatusOr<int> Run(Invocation& invocation, const RestoreOptions& options) {
  MTP_RETURN_IF_ERROR(TenantName::Parse(options.name).status());
  if (!options.as.empty()) MTP_RETURN_IF_ERROR(TenantName::Parse(options.as).status());
  if (!options.host.empty()) MTP_RETURN_IF_ERROR(HostName::Parse(options.host).status());
  if (!options.from.empty()) MTP_RETURN_IF_ERROR(ParseBackup(options.from).status());
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  v1::RestoreBackupRequest request;
  MTP_RETURN_IF_ERROR(ReadSecrets(invocation, options, request.mutable_secrets()));
  MTP_ASSIGN_OR_RETURN(const Restore restore, Prepare(invocation, options));
  const bool needs_bot = !restore.exists && restore.tenant != restore.backup.tenant();
  if (needs_bot && options.telegram_token_file.empty() && !options.change.dry_run) {
    MTP_RETURN_IF_ERROR(
        OwnBot(invocation, restore, request.mutable_secrets()->mutable_telegram_token()));
  }
  request.set_name(restore.backup.name());
  if (restore.tenant != restore.backup.tenant()) request.set_tenant_id(restore.tenant);
  request.set_host(options.host);
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  const auto accepted = Call(invocation, &v1::BackupService::Stub::RestoreBackup, request);
  WipeTenantSecrets(request.mutable_secrets());
  MTP_RETURN_IF_ERROR(accepted.status());

  if (options.change.dry_run) {
    Json json = RestoreJson(restore);
    json["dry_run"] = true;
    invocation.Print(
        json, [] { return std::string("Nothing speaks against it; nothing was changed.\n"); });
    return 0;
  }
  return Conclude(
      invocation, *accepted, options.change,
      [&](const v1::Operation& operation) {
        Json json = RestoreJson(restore);
        json["operation"] = OperationJson(operation);
        return json;
      },
      [&](const v1::Operation& operation) { return DoneText(invocation, restore, operation); });
}

}  // namespace

void AddBackupRestore(CLI::App& backup, Chosen& chosen) {
  auto [command, options] = AddCommand<RestoreOptions>(
      backup, chosen, "restore",
      "Put a tenant's data back to a backup, or bring a removed tenant back from one", Run);
  command->add_option("NAME", options->name, "Tenant whose backup it is")->required();
  command->add_option("--from", options->from, "Which backup; the newest when not given")
      ->type_name("ID");
  command
      ->add_option("--as", options->as,
                   "Restore into a tenant of this name, which needs a bot of its own")
      ->type_name("NAME");
  command->add_option("--host", options->host, "Only this host will do for a tenant without one")
      ->type_name("HOST");
  const auto secret = [&command = command](const char* flag, std::string& file, const char* what) {
    command
        ->add_option(flag, file,
                     absl::StrCat("File with ", what,
                                  " for a tenant that does not exist; - is standard input"))
        ->type_name("FILE");
  };
  secret("--telegram-token-file", options->telegram_token_file, "another bot token");
  secret("--anthropic-key-file", options->anthropic_key_file, "another Anthropic key");
  secret("--openai-key-file", options->openai_key_file, "another OpenAI key");
  secret("--openrouter-key-file", options->openrouter_key_file, "another OpenRouter key");
  command->add_flag("-y,--yes", options->yes, "Do not ask before data is replaced");
  AddChangeFlags(command, &options->change);
}

}  // namespace mtp::cli
