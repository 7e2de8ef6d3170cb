#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/secret_input.h"
#include "cli/commands/wait.h"
#include "cli/output/backup_tables.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::BackupService::Stub;

struct NoOptions {};

struct AddOptions {
  std::string name;
  std::string url;
  std::string s3_access_key_file;
  std::string s3_secret_key_file;
  std::string sftp_key_file;
  std::string sftp_known_hosts_file;
  std::string ca_file;
  std::string root_key_file;
};

// A password has no place in an address: arguments are seen by every user of the machine. The
// sentence does not repeat it.
absl::Status CheckUrl(absl::string_view url) {
  const size_t slashes = url.find("//");
  if (slashes == absl::string_view::npos) return absl::OkStatus();
  const absl::string_view rest = url.substr(slashes + 2);
  const absl::string_view authority = rest.substr(0, rest.find('/'));
  const size_t at = authority.rfind('@');
  if (at == absl::string_view::npos || !absl::StrContains(authority.substr(0, at), ":")) {
    return absl::OkStatus();
  }
  return WithHint(absl::InvalidArgumentError("the address of a repository must hold no password"),
                  "--sftp-key-file FILE, or --s3-access-key-file and --s3-secret-key-file");
}

absl::Status ReadSecrets(const Invocation& invocation, const AddOptions& options,
                         v1::RepositorySecrets* secrets) {
  return ReadSecretFlags(
      invocation.environment,
      {{options.s3_access_key_file, "the S3 access key", secrets->mutable_s3_access_key()},
       {options.s3_secret_key_file, "the S3 secret key", secrets->mutable_s3_secret_key()},
       {options.sftp_key_file, "the SFTP key", secrets->mutable_sftp_private_key(), true},
       {options.sftp_known_hosts_file, "the list of known hosts",
        secrets->mutable_sftp_known_hosts(), true},
       {options.ca_file, "the list of certificates", secrets->mutable_ca_certificates(), true},
       {options.root_key_file, "the root key", secrets->mutable_root_key()}});
}

void WipeSecrets(v1::RepositorySecrets* secrets) {
  WipeString(secrets->mutable_root_key());
  WipeString(secrets->mutable_s3_access_key());
  WipeString(secrets->mutable_s3_secret_key());
  WipeString(secrets->mutable_sftp_private_key());
  WipeString(secrets->mutable_sftp_known_hosts());
}

absl::StatusOr<int> Add(Invocation& invocation, const AddOptions& options) {
  MTP_RETURN_IF_ERROR(CheckUrl(options.url));
  v1::AddRepositoryRequest request;
  request.set_repository_id(options.name);
  request.set_url(options.url);
  MTP_RETURN_IF_ERROR(ReadSecrets(invocation, options, request.mutable_secrets()));
  const auto repository = Call(invocation, &Stub::AddRepository, request);
  WipeSecrets(request.mutable_secrets());
  if (absl::IsAlreadyExists(repository.status())) {
    return WithHint(repository.status(), "`mtp-cli repository list` shows what there is");
  }
  MTP_RETURN_IF_ERROR(repository.status());
  invocation.Print(RepositoryJson(*repository), [&] {
    return absl::StrCat(
        Paint(Visible(ShortName(repository->name())), Tone::kStrong, invocation.colour()),
        " is a repository for backups", repository->is_default() ? ", and the default one" : "",
        ": ", Visible(repository->url()), "\n");
  });
  return 0;
}

absl::StatusOr<int> List(Invocation& invocation, const NoOptions&) {
  MTP_ASSIGN_OR_RETURN(const v1::ListRepositoriesResponse response,
                       Call(invocation, &Stub::ListRepositories, v1::ListRepositoriesRequest()));
  const std::vector<v1::Repository> repositories(response.repositories().begin(),
                                                 response.repositories().end());
  Json rows = Json::array();
  for (const v1::Repository& repository : repositories) rows.push_back(RepositoryJson(repository));
  invocation.Print({{"repositories", std::move(rows)}}, [&] {
    if (repositories.empty())
      return std::string("No repository yet. Add one with: mtp-cli repository add NAME URL\n");
    return RepositoriesTable(repositories, invocation.now(), invocation.columns(),
                             invocation.colour());
  });
  return 0;
}

struct CheckOptions {
  std::string name;
  bool read_data = false;
  ChangeOptions change;
};

int64_t NumberOf(const v1::Operation& operation, const char* name) {
  int64_t number = 0;
  return absl::SimpleAtoi(ResultOf(operation, name), &number) ? number : 0;
}

Json CheckJson(const std::string& repository, const v1::Operation& operation) {
  Json json = {{"repository", repository}, {"tenants", nullptr}, {"snapshots", nullptr}};
  for (const char* name : {"tenants", "snapshots"}) {
    if (operation.result().count(name) > 0) json[name] = NumberOf(operation, name);
  }
  json["operation"] = OperationJson(operation);
  return json;
}

absl::StatusOr<int> Check(Invocation& invocation, const CheckOptions& options) {
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  v1::CheckRepositoryRequest request;
  request.set_name(absl::StrCat("repositories/", options.name));
  request.set_read_data(options.read_data);
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  MTP_ASSIGN_OR_RETURN(const v1::Operation accepted,
                       Call(invocation, &Stub::CheckRepository, request));
  if (options.change.dry_run) {
    invocation.Print({{"repository", options.name}, {"dry_run", true}}, [] {
      return std::string("Nothing speaks against it; nothing was changed.\n");
    });
    return 0;
  }
  return Conclude(
      invocation, accepted, options.change,
      [&](const v1::Operation& operation) { return CheckJson(options.name, operation); },
      [&](const v1::Operation& operation) {
        return absl::StrCat(Paint(Visible(options.name), Tone::kStrong, invocation.colour()),
                            " is ", Paint("in order", Tone::kGood, invocation.colour()), ": ",
                            NumberOf(operation, "snapshots"), " backups of ",
                            NumberOf(operation, "tenants"), " tenants, ",
                            options.read_data ? "all data read" : "by their structure", ", after ",
                            HumanDuration(Elapsed(operation, invocation.now())), "\n");
      });
}

}  // namespace

void AddRepository(CLI::App& root, Chosen& chosen) {
  CLI::App& repository = *root.add_subcommand("repository", "Places where backups are kept");
  repository.require_subcommand(1);
  AddCommand<NoOptions>(repository, chosen, "list", "Show all repositories", List);
  auto [check, check_options] = AddCommand<CheckOptions>(
      repository, chosen, "check", "Check what every tenant has in a repository", Check);
  check->add_option("NAME", check_options->name, "Repository")->required();
  check->add_flag("--read-data", check_options->read_data,
                  "Read and compare all data too, which takes as long as reading all of it");
  AddChangeFlags(check, &check_options->change);
  auto [add, options] = AddCommand<AddOptions>(
      repository, chosen, "add", "Add a repository; the first one is the default", Add);
  add->add_option("NAME", options->name, "Lowercase letters, digits and inner hyphens, at most 40")
      ->required();
  add->add_option(
         "URL", options->url,
         "/folder, sftp://user@host[:port]/path, or s3:https://host[:port]/bucket[/prefix]")
      ->required();
  const auto file = [&add = add](const char* flag, std::string& name, const char* what) {
    add->add_option(flag, name, absl::StrCat("File with ", what, "; - is standard input"))
        ->type_name("FILE");
  };
  file("--s3-access-key-file", options->s3_access_key_file, "the access key for S3");
  file("--s3-secret-key-file", options->s3_secret_key_file, "the secret key for S3");
  file("--sftp-key-file", options->sftp_key_file, "the private key for SFTP");
  file("--sftp-known-hosts-file", options->sftp_known_hosts_file,
       "the server's lines of known_hosts for SFTP");
  file("--ca-file", options->ca_file, "certificates to trust for S3 instead of the system's");
  file("--root-key-file", options->root_key_file,
       "the root key of an earlier fleet's repository, else a new one is made");
}

}  // namespace mtp::cli
