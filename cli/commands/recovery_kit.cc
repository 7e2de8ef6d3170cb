#include <absl/strings/str_cat.h>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "cli/output/yaml.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct KitOptions {
  std::string out;
};

constexpr char kHead[] =
    R"(# Recovery kit. Whoever has it opens every backup of the fleet: keep it away from the servers, and
# print it again after each `mtp-cli repository add`.
#
# When the controller is lost, this file and access to one of the repositories are all that is needed:
#   mtp-controller recover --kit FILE      on the new machine, which needs restic installed
#   mtp-controller run
# docs/recovery.md goes through it. A repository that is a folder has to be on that machine then.
#
# By hand, with restic alone (S3 and SFTP take their keys as restic's manual says):
#   export RESTIC_REPOSITORY=URL/TENANT
#   export RESTIC_PASSWORD=$(printf %s mtp-repository/TENANT |
#     openssl mac -digest SHA256 -macopt hexkey:ROOT_KEY -in - HMAC | tr A-F a-f)
#   restic snapshots
#   restic restore latest --target FOLDER
# FOLDER then has data/ (the tenant's files), tenant.json (its spec) and manifest.jsonl (SHA-256 of
# every file). To run it again on a host of a new fleet: copy FOLDER/data with its owners to
# data/TENANT in the agent's project folder, then `mtp-cli provision TENANT --use-kept-data`.
#
# A new fleet writes into the same place after
#   mtp-cli repository add NAME URL --root-key-file FILE
)";

void AddText(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}

Json KitJson(const v1::RecoveryKit& kit) {
  Json repositories = Json::array();
  for (const auto& entry : kit.repositories()) {
    const v1::RepositorySecrets& secrets = entry.secrets();
    Json row = {{"name", ShortName(entry.repository().name())},
                {"url", entry.repository().url()},
                {"root_key", secrets.root_key()}};
    AddText(row, "s3_access_key", secrets.s3_access_key());
    AddText(row, "s3_secret_key", secrets.s3_secret_key());
    AddText(row, "sftp_private_key", secrets.sftp_private_key());
    AddText(row, "sftp_known_hosts", secrets.sftp_known_hosts());
    AddText(row, "ca_certificates", secrets.ca_certificates());
    row["tenants"] = Json::array();
    for (const std::string& tenant : entry.tenants()) row["tenants"].push_back(tenant);
    repositories.push_back(std::move(row));
  }
  return {{"fleet", kit.fleet()},
          {"time", TimeJson(kit.has_create_time(), kit.create_time())},
          {"repositories", std::move(repositories)}};
}

absl::StatusOr<int> RecoveryKit(Invocation& invocation, const KitOptions& options) {
  MTP_ASSIGN_OR_RETURN(
      const v1::RecoveryKit kit,
      Call(invocation, &v1::BackupService::Stub::GetRecoveryKit, v1::GetRecoveryKitRequest()));
  const Json json = KitJson(kit);
  const std::string text = absl::StrCat(kHead, "\n", YamlText(json));
  if (options.out.empty()) {
    invocation.Print(json, [&] { return text; });
    return 0;
  }
  MTP_RETURN_IF_ERROR(WriteFileAtomically(options.out, text, 0600));
  invocation.Print({{"file", options.out}, {"repositories", kit.repositories_size()}}, [&] {
    return absl::StrCat("The recovery kit is in ", Visible(options.out),
                        ". Move it away from here: whoever has it opens every backup.\n");
  });
  return 0;
}

}  // namespace

void AddRecoveryKit(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<KitOptions>(
      root, chosen, "recovery-kit",
      "Tell what opens the backups when the controller is lost: keep it elsewhere", RecoveryKit);
  command
      ->add_option("--out", options->out,
                   "Write it to this file, for its owner alone, instead of showing it")
      ->type_name("FILE");
}

}  // namespace mtp::cli
