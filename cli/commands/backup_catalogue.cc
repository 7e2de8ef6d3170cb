#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <limits>

#include "cli/commands/arguments.h"
#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/commands/wait.h"
#include "cli/output/backup_tables.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/ulid.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::BackupService::Stub;

constexpr size_t kPage = 1000;  // the most that the controller gives at once

// The controller's sentence, with where to look.
absl::Status Explained(absl::Status status) {
  if (!absl::IsNotFound(status)) return status;
  return WithHint(std::move(status), "`mtp-cli backup list` shows what there is");
}

struct ListOptions {
  std::string name;
};

absl::StatusOr<int> List(Invocation& invocation, const ListOptions& options) {
  std::string tenant;
  if (!options.name.empty()) {
    MTP_ASSIGN_OR_RETURN(tenant, ParseTenant(options.name));
  }
  MTP_ASSIGN_OR_RETURN(const std::vector<v1::Backup> backups,
                       ListBackups(invocation, tenant, std::numeric_limits<size_t>::max()));
  invocation.Print(BackupsJson(backups), [&] {
    if (!backups.empty())
      return BackupsTable(backups, invocation.now(), invocation.columns(), invocation.colour());
    return options.name.empty()
               ? std::string("No backups yet. Make one with: mtp-cli backup NAME\n")
               : absl::StrCat("No backups of ", options.name, ". Make one with: mtp-cli backup ",
                              options.name, "\n");
  });
  return 0;
}

struct ShowOptions {
  std::string id;
};

absl::StatusOr<int> Show(Invocation& invocation, const ShowOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Backup backup, GetBackup(invocation, options.id));
  invocation.Print(BackupJson(backup),
                   [&] { return BackupDetails(backup, invocation.now(), invocation.colour()); });
  return 0;
}

struct VerifyOptions {
  std::string id;
  ChangeOptions change;
};

absl::StatusOr<int> Verify(Invocation& invocation, const VerifyOptions& options) {
  v1::VerifyBackupRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseBackup(options.id));
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  const auto accepted = Call(invocation, &Stub::VerifyBackup, request);
  if (!accepted.ok()) return Explained(accepted.status());
  const std::string id = ShortName(request.name());
  if (options.change.dry_run) {
    invocation.Print({{"backup", id}, {"dry_run", true}}, [] {
      return std::string("Nothing speaks against it; nothing was changed.\n");
    });
    return 0;
  }
  return Conclude(
      invocation, *accepted, options.change,
      [&](const v1::Operation& operation) -> Json {
        return {{"backup", id}, {"operation", OperationJson(operation)}};
      },
      [&](const v1::Operation& operation) {
        return absl::StrCat(Paint(id, Tone::kStrong, invocation.colour()), " is ",
                            Paint("whole", Tone::kGood, invocation.colour()),
                            ": all of it was read back and compared, after ",
                            HumanDuration(Elapsed(operation, invocation.now())), "\n");
      });
}

}  // namespace

absl::StatusOr<std::string> ParseBackup(absl::string_view text) {
  absl::ConsumePrefix(&text, "backups/");
  const std::string id = absl::AsciiStrToUpper(text);
  if (!IsUlid(id)) {
    return absl::InvalidArgumentError(
        "a backup is named by the 26 characters that `mtp-cli backup list` shows");
  }
  return absl::StrCat("backups/", id);
}

absl::StatusOr<v1::Backup> GetBackup(Invocation& invocation, absl::string_view text) {
  v1::GetBackupRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseBackup(text));
  auto backup = Call(invocation, &Stub::GetBackup, request);
  if (!backup.ok()) return Explained(backup.status());
  return backup;
}

absl::StatusOr<std::vector<v1::Backup>> ListBackups(Invocation& invocation,
                                                    const std::string& tenant, size_t limit) {
  v1::ListBackupsRequest request;
  request.set_tenant(tenant);
  std::vector<v1::Backup> backups;
  do {
    request.set_page_size(static_cast<int32_t>(std::min(kPage, limit - backups.size())));
    MTP_ASSIGN_OR_RETURN(v1::ListBackupsResponse page,
                         Call(invocation, &Stub::ListBackups, request));
    for (v1::Backup& backup : *page.mutable_backups()) {
      if (backups.size() < limit) backups.push_back(std::move(backup));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && backups.size() < limit);
  return backups;
}

std::string BackupTitle(const v1::Backup& backup, absl::Time now) {
  return absl::StrCat(ShortName(backup.name()), " of ",
                      Ago(backup.has_start_time(), backup.start_time(), now));
}

void AddBackupCatalogue(CLI::App& backup, Chosen& chosen) {
  auto [list, list_options] =
      AddCommand<ListOptions>(backup, chosen, "list", "Show backups, newest first", List);
  list->add_option("NAME", list_options->name, "Only those of this tenant");

  auto [show, show_options] =
      AddCommand<ShowOptions>(backup, chosen, "show", "Show one backup in full", Show);
  show->add_option("ID", show_options->id, "Its 26 characters")->required();

  auto [verify, verify_options] = AddCommand<VerifyOptions>(
      backup, chosen, "verify", "Read all of a backup back and compare it", Verify);
  verify->add_option("ID", verify_options->id, "Its 26 characters")->required();
  AddChangeFlags(verify, &verify_options->change);
}

}  // namespace mtp::cli
