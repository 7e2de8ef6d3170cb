#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "cli/commands/arguments.h"
#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/commands/wait.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct DrillOptions {
  std::string what;
  ChangeOptions change;
};

// How long the sandbox took until it was ready, when the operation tells.
std::string ReadyText(const v1::Operation& operation) {
  int64_t milliseconds = 0;
  if (!absl::SimpleAtoi(ResultOf(operation, "ready_ms"), &milliseconds)) return "";
  return absl::StrCat(", ready ", HumanDuration(absl::Milliseconds(milliseconds)),
                      " after its start");
}

absl::StatusOr<int> Drill(Invocation& invocation, const DrillOptions& options) {
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  MTP_ASSIGN_OR_RETURN(const v1::Backup backup, ChooseBackup(invocation, options.what));
  v1::DrillBackupRequest request;
  request.set_name(backup.name());
  request.set_request_id(RequestId(invocation, options.change));
  request.set_validate_only(options.change.dry_run);
  MTP_ASSIGN_OR_RETURN(const v1::Operation accepted,
                       Call(invocation, &v1::BackupService::Stub::DrillBackup, request));
  const Json subject = {{"tenant", backup.tenant()}, {"backup", ShortName(backup.name())}};
  if (options.change.dry_run) {
    Json object = subject;
    object["dry_run"] = true;
    invocation.Print(object, [&] {
      return absl::StrCat("Would start it ", Visible(accepted.message()),
                          "; nothing was changed.\n");
    });
    return 0;
  }
  return Conclude(
      invocation, accepted, options.change,
      [&](const v1::Operation& operation) {
        Json object = subject;
        object["operation"] = OperationJson(operation);
        return object;
      },
      [&](const v1::Operation& operation) {
        return absl::StrCat("The backup ", Visible(BackupTitle(backup, invocation.now())), " of ",
                            Paint(Visible(backup.tenant()), Tone::kStrong, invocation.colour()),
                            " is ", Paint("proven", Tone::kGood, invocation.colour()),
                            ": it started in a sandbox", ReadyText(operation),
                            ", and its databases are whole\n");
      });
}

}  // namespace

absl::StatusOr<v1::Backup> NewestBackup(Invocation& invocation, const std::string& name) {
  MTP_ASSIGN_OR_RETURN(const std::string tenant, ParseTenant(name));
  MTP_ASSIGN_OR_RETURN(std::vector<v1::Backup> newest, ListBackups(invocation, tenant, 1));
  if (!newest.empty()) return std::move(newest.front());
  return WithHint(absl::NotFoundError(absl::StrCat("there is no backup of ", name)),
                  "`mtp-cli backup list` shows what there is");
}

absl::StatusOr<v1::Backup> ChooseBackup(Invocation& invocation, const std::string& text) {
  return ParseBackup(text).ok() ? GetBackup(invocation, text) : NewestBackup(invocation, text);
}

void AddBackupDrill(CLI::App& backup, Chosen& chosen) {
  auto [drill, options] = AddCommand<DrillOptions>(
      backup, chosen, "drill", "Start a backup in a sandbox: proof that it can be restored", Drill);
  drill
      ->add_option("NAME", options->what,
                   "A tenant, for its newest backup; or the 26 characters of a backup")
      ->required();
  AddChangeFlags(drill, &options->change);
}

}  // namespace mtp::cli
