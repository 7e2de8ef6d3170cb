#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/commands/group.h"
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

struct PruneOptions {
  std::vector<std::string> names;
  bool all = false;
  int keep_last = 7;
  int keep_days = 30;
  bool yes = false;
  ChangeOptions change;
};

// One tenant's backups on their way out.
struct Task {
  std::string tenant;  // `tenants/acme`
  std::vector<v1::Backup> backups;
  v1::Operation operation;
  int64_t freed_bytes = 0;
  absl::Status outcome;
};

struct Batch {
  std::vector<Task> tasks;
  bool group = false;  // several tenants: one that fails does not stop the others
};

void AddOnce(const std::string& tenant, std::vector<Task>* tasks) {
  const auto same = [&](const Task& task) { return task.tenant == tenant; };
  if (std::none_of(tasks->begin(), tasks->end(), same)) tasks->push_back({.tenant = tenant});
}

absl::StatusOr<Batch> MakeBatch(Invocation& invocation, const PruneOptions& options) {
  if (options.all != options.names.empty()) {
    return WithHint(
        absl::InvalidArgumentError(options.all ? "--all and names of tenants exclude each other"
                                               : "no tenant is named"),
        "mtp-cli backup prune NAME…, or mtp-cli backup prune --all");
  }
  Batch batch;
  for (const std::string& name : options.names) {
    MTP_ASSIGN_OR_RETURN(const std::string tenant, ParseTenant(name));
    AddOnce(tenant, &batch.tasks);
  }
  if (options.all) {
    MTP_ASSIGN_OR_RETURN(const std::vector<v1::Backup> backups,
                         ListBackups(invocation, "", std::numeric_limits<size_t>::max()));
    for (const v1::Backup& backup : backups)
      AddOnce(absl::StrCat("tenants/", backup.tenant()), &batch.tasks);
    std::sort(batch.tasks.begin(), batch.tasks.end(),
              [](const Task& a, const Task& b) { return a.tenant < b.tenant; });
  }
  batch.group = options.all || batch.tasks.size() > 1;
  return batch;
}

absl::Status CheckFlags(const Invocation& invocation, const PruneOptions& options) {
  MTP_RETURN_IF_ERROR(CheckChangeFlags(options.change));
  if (options.yes || options.change.dry_run || PersonIsThere(invocation)) return absl::OkStatus();
  return WithHint(
      absl::InvalidArgumentError("backups would be removed for good; nothing was changed"),
      "--dry-run shows which, --yes says that they may go");
}

// Of several, each failure is told when it happens; the only one is the error of the command.
void Tell(Invocation& invocation, const Batch& batch, const Task& task) {
  if (task.outcome.ok() || !batch.group) return;
  TellFailure(invocation, task.tenant, task.outcome.message());
}

void Send(Invocation& invocation, const PruneOptions& options, const std::string& request_id,
          bool only_check, const Batch& batch, Task& task) {
  v1::PruneBackupsRequest request;
  request.set_tenant(task.tenant);
  request.set_keep_last(options.keep_last);
  request.set_keep_days(options.keep_days);
  request.set_validate_only(only_check);
  request.set_request_id(batch.group ? GroupRequestId(request_id, task.tenant) : request_id);
  if (only_check) request.clear_request_id();
  auto answer = Call(invocation, &v1::BackupService::Stub::PruneBackups, request);
  if (answer.ok()) {
    task.backups = {answer->backups().begin(), answer->backups().end()};
    task.operation = answer->operation();
  } else {
    task.backups.clear();
    task.outcome = absl::IsNotFound(answer.status())
                       ? WithHint(answer.status(), "`mtp-cli backup list` shows what there is")
                       : answer.status();
  }
  Tell(invocation, batch, task);
}

std::vector<v1::Backup> AllOf(const Batch& batch) {
  std::vector<v1::Backup> all;
  for (const Task& task : batch.tasks) {
    if (task.outcome.ok()) all.insert(all.end(), task.backups.begin(), task.backups.end());
  }
  return all;
}

std::string Rows(Invocation& invocation, const std::vector<v1::Backup>& backups, bool colour) {
  return BackupsTable(backups, invocation.now(), invocation.columns(), colour);
}

std::string Count(size_t backups) {
  return backups == 1 ? "1 backup" : absl::StrCat(backups, " backups");
}

absl::Status ConfirmPruning(Invocation& invocation, const PruneOptions& options,
                            const std::vector<v1::Backup>& planned) {
  if (options.yes || planned.empty()) return absl::OkStatus();
  invocation.environment.err << Rows(invocation, planned, invocation.err_colour()) << std::flush;
  return Confirm(invocation,
                 absl::StrCat("Remove ",
                              planned.size() == 1 ? std::string("this backup")
                                                  : absl::StrCat("these ", Count(planned.size())),
                              " for good? [y/N] "),
                 "nothing was removed");
}

absl::Status Finish(Invocation& invocation, absl::Duration timeout, Task& task) {
  MTP_ASSIGN_OR_RETURN(task.operation, Follow(invocation, task.operation, timeout));
  const auto freed = task.operation.result().find("freed_bytes");
  if (freed != task.operation.result().end() &&
      !absl::SimpleAtoi(freed->second, &task.freed_bytes)) {
    task.freed_bytes = 0;
  }
  return Outcome(task.operation);
}

// All are begun before the first is waited for. A request id of the user's own may stand for an
// operation that has removed everything already.
void Carry(Invocation& invocation, const PruneOptions& options, absl::Duration timeout,
           Batch& batch) {
  const std::string request_id = RequestId(invocation, options.change);
  for (Task& task : batch.tasks) {
    if (!task.outcome.ok()) continue;
    if (task.backups.empty() && options.change.request_id.empty()) continue;
    Send(invocation, options, request_id, /*only_check=*/false, batch, task);
  }
  if (options.change.no_wait) return;
  for (Task& task : batch.tasks) {
    if (!task.outcome.ok() || task.operation.name().empty()) continue;
    task.outcome = Finish(invocation, timeout, task);
    Tell(invocation, batch, task);
  }
}

std::string AcceptedText(const Batch& batch) {
  std::string text;
  for (const Task& task : batch.tasks) {
    if (!task.outcome.ok() || task.operation.name().empty()) continue;
    absl::StrAppend(&text, ShortName(task.tenant), ": accepted as ", task.operation.name(), "\n");
  }
  return text;
}

void PrintBatch(Invocation& invocation, const PruneOptions& options, const Batch& batch) {
  const std::vector<v1::Backup> removed = AllOf(batch);
  Json rows = Json::array();
  for (const v1::Backup& backup : removed) rows.push_back(BackupJson(backup));
  Json failed = Json::array();
  Json operations = Json::array();
  int64_t freed = 0;
  for (const Task& task : batch.tasks) {
    freed += task.freed_bytes;
    if (!task.outcome.ok()) {
      failed.push_back(
          {{"tenant", ShortName(task.tenant)}, {"error", std::string(task.outcome.message())}});
    } else if (!task.operation.name().empty()) {
      operations.push_back(OperationJson(task.operation));
    }
  }
  Json json = {{"removed", std::move(rows)}, {"freed_bytes", freed}, {"failed", std::move(failed)}};
  if (options.change.dry_run) {
    json["dry_run"] = true;
  } else if (options.change.no_wait) {
    json["operations"] = std::move(operations);
  }
  invocation.Print(json, [&]() -> std::string {
    if (removed.empty()) {
      const auto ok = [](const Task& task) { return task.outcome.ok(); };
      return std::all_of(batch.tasks.begin(), batch.tasks.end(), ok) ? "Nothing to remove.\n" : "";
    }
    if (options.change.no_wait && !options.change.dry_run) return AcceptedText(batch);
    const std::string table = Rows(invocation, removed, invocation.colour());
    if (options.change.dry_run)
      return absl::StrCat(table, Count(removed.size()),
                          " would be removed; nothing was changed.\n");
    return absl::StrCat(table, Count(removed.size()), " removed, ", HumanBytes(freed), " freed\n");
  });
}

// The only one's own status; for several, how many failed.
absl::Status BatchOutcome(const Batch& batch) {
  if (!batch.group) return batch.tasks[0].outcome;
  std::vector<absl::Status> outcomes;
  outcomes.reserve(batch.tasks.size());
  for (const Task& task : batch.tasks) outcomes.push_back(task.outcome);
  return GroupOutcome(outcomes, {"the backups of ", " were not pruned", "the removals of"});
}

absl::StatusOr<int> Prune(Invocation& invocation, const PruneOptions& options) {
  MTP_RETURN_IF_ERROR(CheckFlags(invocation, options));
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout,
                       ParseWait(options.change.timeout, "--timeout"));
  MTP_ASSIGN_OR_RETURN(Batch batch, MakeBatch(invocation, options));
  for (Task& task : batch.tasks) Send(invocation, options, "", /*only_check=*/true, batch, task);
  if (!options.change.dry_run) {
    MTP_RETURN_IF_ERROR(ConfirmPruning(invocation, options, AllOf(batch)));
    Carry(invocation, options, timeout, batch);
  }
  PrintBatch(invocation, options, batch);
  MTP_RETURN_IF_ERROR(BatchOutcome(batch));
  return 0;
}

}  // namespace

void AddBackupPrune(CLI::App& backup, Chosen& chosen) {
  auto [command, options] = AddCommand<PruneOptions>(
      backup, chosen, "prune",
      "Remove old backups; the newest and the newest verified one always stay", Prune);
  command->add_option("NAME", options->names, "Tenants; they need not exist any more");
  command->add_flag("--all", options->all, "All tenants that have backups");
  command
      ->add_option("--keep-last", options->keep_last,
                   "So many of the newest stay in each repository (7)")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
  command->add_option("--keep-days", options->keep_days, "Those of so many days stay (30)")
      ->type_name("DAYS")
      ->check(CLI::Range(1, 36500));
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  AddChangeFlags(command, &options->change);
}

}  // namespace mtp::cli
