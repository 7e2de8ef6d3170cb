#include "cli/commands/backup.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "cli/commands/arguments.h"
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
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BackupOptions {
  std::vector<std::string> names;
  bool all = false;
  std::string repository;
  ChangeOptions change;
};

// One tenant's backup on its way.
struct Task {
  std::string tenant;  // `tenants/acme`
  v1::Operation operation;
  v1::Backup backup;  // once it is made
  absl::Status outcome;
};

// All that one call of the command does.
struct Batch {
  std::vector<Task> tasks;
  bool group = false;  // several tenants: one that fails does not stop the others
};

// Every tenant once, in the order in which they were typed.
absl::StatusOr<std::vector<Task>> NamedTenants(const std::vector<std::string>& names) {
  std::vector<Task> tasks;
  for (const std::string& name : names) {
    MTP_ASSIGN_OR_RETURN(const std::string tenant, ParseTenant(name));
    const auto same = [&](const Task& task) { return task.tenant == tenant; };
    if (std::none_of(tasks.begin(), tasks.end(), same)) tasks.push_back({.tenant = tenant});
  }
  return tasks;
}

absl::StatusOr<std::vector<Task>> AllTenants(Invocation& invocation) {
  std::vector<Task> tasks;
  v1::ListTenantsRequest request;
  request.set_page_size(1000);
  do {
    MTP_ASSIGN_OR_RETURN(const v1::ListTenantsResponse page,
                         Call(invocation, &v1::TenantService::Stub::ListTenants, request));
    for (const v1::Tenant& tenant : page.tenants()) tasks.push_back({.tenant = tenant.name()});
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return tasks;
}

absl::StatusOr<Batch> MakeBatch(Invocation& invocation, const BackupOptions& options) {
  std::vector<std::string> names = options.names;
  names.insert(names.end(), invocation.trailing.begin(), invocation.trailing.end());
  if (options.all != names.empty()) {
    return WithHint(
        absl::InvalidArgumentError(options.all ? "--all and names of tenants exclude each other"
                                               : "no tenant is named"),
        "mtp-cli backup NAME…, or mtp-cli backup --all");
  }
  MTP_ASSIGN_OR_RETURN(std::vector<Task> tasks,
                       options.all ? AllTenants(invocation) : NamedTenants(names));
  const bool group = options.all || tasks.size() > 1;
  return Batch{.tasks = std::move(tasks), .group = group};
}

absl::Status Explained(absl::Status status) {
  if (absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "repository")) {
    return WithHint(std::move(status), "`mtp-cli repository add NAME URL` adds a repository");
  }
  return status;
}

// Why it failed, without what the line says anyway.
std::string Reason(const Task& task) {
  if (task.operation.state() == v1::OPERATION_STATE_FAILED && task.operation.has_error() &&
      !task.operation.error().message().empty()) {
    return task.operation.error().message();
  }
  return std::string(task.outcome.message());
}

// Of several, each failure is told when it happens; the only one is the error of the command.
void Tell(Invocation& invocation, const Batch& batch, const Task& task) {
  if (task.outcome.ok() || !batch.group) return;
  TellFailure(invocation, task.tenant, Reason(task));
}

void BeginAll(Invocation& invocation, const BackupOptions& options, Batch& batch) {
  const std::string request_id = RequestId(invocation, options.change);
  for (Task& task : batch.tasks) {
    v1::CreateBackupRequest request;
    request.set_tenant(task.tenant);
    if (!options.repository.empty()) {
      request.set_repository(
          absl::StrCat("repositories/", absl::StripPrefix(options.repository, "repositories/")));
    }
    request.set_request_id(batch.group ? GroupRequestId(request_id, task.tenant) : request_id);
    request.set_validate_only(options.change.dry_run);
    auto accepted = Call(invocation, &v1::BackupService::Stub::CreateBackup, request);
    if (accepted.ok()) {
      task.operation = *std::move(accepted);
    } else {
      task.outcome = Explained(accepted.status());
    }
    Tell(invocation, batch, task);
  }
}

// Waits for the operation and fetches what it made.
absl::Status Finish(Invocation& invocation, absl::Duration timeout, Task& task) {
  MTP_ASSIGN_OR_RETURN(task.operation, Follow(invocation, task.operation, timeout));
  MTP_RETURN_IF_ERROR(Outcome(task.operation));
  const auto id = task.operation.result().find("backup");
  if (id == task.operation.result().end()) {
    return absl::InternalError(
        "the backup is made, but the controller does not say which; `mtp-cli backup list` shows "
        "it");
  }
  MTP_ASSIGN_OR_RETURN(task.backup, GetBackup(invocation, id->second));
  return absl::OkStatus();
}

void FinishAll(Invocation& invocation, absl::Duration timeout, Batch& batch) {
  const bool plain = invocation.format == Format::kTable && !invocation.environment.err_is_terminal;
  for (Task& task : batch.tasks) {
    if (!task.outcome.ok()) continue;
    // Lines of steps do not name the tenant.
    if (batch.group && plain)
      invocation.environment.err << "backup " << ShortName(task.tenant) << std::endl;
    task.outcome = Finish(invocation, timeout, task);
    Tell(invocation, batch, task);
  }
}

std::string MadeText(Invocation& invocation, const Task& task) {
  const v1::Backup& backup = task.backup;
  const bool colour = invocation.colour();
  const std::string pause = PauseText(backup.pause());
  std::string text =
      absl::StrCat(Paint(ShortName(task.tenant), Tone::kStrong, colour), " is backed up as ",
                   Paint(Visible(ShortName(backup.name())), Tone::kStrong, colour), " after ",
                   HumanDuration(Elapsed(task.operation, invocation.now())), "\n  ",
                   HumanBytes(backup.bytes_scanned()), " in ", backup.files(), " files, ",
                   HumanBytes(backup.bytes_added()), " of it new in ", Visible(backup.repository()),
                   pause == "-" ? "" : absl::StrCat("; it stood still for ", pause), "\n");
  for (const std::string& path : backup.damaged_databases()) {
    absl::StrAppend(&text, "  ", Paint("damaged, as it was found:", Tone::kWarning, colour), " ",
                    Visible(path), "\n");
  }
  return text;
}

std::string MadeTable(Invocation& invocation, const std::vector<v1::Backup>& made) {
  return BackupsTable(made, invocation.now(), invocation.columns(), invocation.colour());
}

std::string AcceptedText(const Batch& batch) {
  std::string text;
  std::string last;
  for (const Task& task : batch.tasks) {
    if (!task.outcome.ok()) continue;
    last = ShortName(task.operation.name());
    absl::StrAppend(&text, ShortName(task.tenant), ": accepted as ", task.operation.name(), "\n");
  }
  if (!last.empty()) absl::StrAppend(&text, "Follow it: mtp-cli op watch ", last, "\n");
  return text;
}

std::string CheckedText(const Batch& batch) {
  std::string text;
  for (const Task& task : batch.tasks) {
    if (!task.outcome.ok()) continue;
    absl::StrAppend(&text, batch.group ? absl::StrCat(ShortName(task.tenant), ": ") : "",
                    "Nothing speaks against it; nothing was changed.\n");
  }
  return text;
}

void PrintBatch(Invocation& invocation, const ChangeOptions& options, const Batch& batch) {
  std::vector<v1::Backup> made;
  Json failed = Json::array();
  Json operations = Json::array();
  for (const Task& task : batch.tasks) {
    if (!task.outcome.ok()) {
      failed.push_back({{"tenant", ShortName(task.tenant)}, {"error", Reason(task)}});
    } else if (options.no_wait) {
      operations.push_back(OperationJson(task.operation));
    } else if (!options.dry_run) {
      made.push_back(task.backup);
    }
  }
  Json json = BackupsJson(made);
  json["failed"] = std::move(failed);
  if (options.dry_run) {
    json["dry_run"] = true;
  } else if (options.no_wait) {
    json["operations"] = std::move(operations);
  }
  invocation.Print(json, [&]() -> std::string {
    if (batch.tasks.empty()) return "There are no tenants.\n";
    if (options.dry_run) return CheckedText(batch);
    if (options.no_wait) return AcceptedText(batch);
    if (made.empty()) return "";
    return batch.group ? MadeTable(invocation, made) : MadeText(invocation, batch.tasks[0]);
  });
}

// The only one's own status; for several, how many failed.
absl::Status BatchOutcome(const Batch& batch) {
  if (!batch.group) return batch.tasks[0].outcome;
  std::vector<absl::Status> outcomes;
  outcomes.reserve(batch.tasks.size());
  for (const Task& task : batch.tasks) outcomes.push_back(task.outcome);
  return GroupOutcome(outcomes, {"", " have no new backup", "the backups of"});
}

absl::StatusOr<int> Create(Invocation& invocation, const BackupOptions& options) {
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout,
                       ParseWait(options.change.timeout, "--timeout"));
  MTP_ASSIGN_OR_RETURN(Batch batch, MakeBatch(invocation, options));
  BeginAll(invocation, options, batch);
  if (!options.change.dry_run && !options.change.no_wait) FinishAll(invocation, timeout, batch);
  PrintBatch(invocation, options.change, batch);
  MTP_RETURN_IF_ERROR(BatchOutcome(batch));
  return 0;
}

// What was meant for `backup` itself although one of its commands follows: that command would do
// without it, a --dry-run for instance.
absl::Status CheckUnused(const CLI::App& backup) {
  const std::string command = backup.get_subcommands().front()->get_name();
  for (const CLI::Option* option : backup.get_options()) {
    if (option->count() == 0) continue;
    if (option->get_positional()) {
      return WithHint(
          absl::InvalidArgumentError("there are more arguments than the command takes"),
          absl::StrCat("mtp-cli backup ", command, " --help; to back up a tenant that is named ",
                       command, ": mtp-cli backup -- ", command));
    }
    return WithHint(absl::InvalidArgumentError(absl::StrCat("backup ", command, " does not take ",
                                                            option->get_name(), " here")),
                    absl::StrCat("mtp-cli backup ", command, " --help"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddBackup(CLI::App& root, Chosen& chosen) {
  auto options = std::make_shared<BackupOptions>();
  CLI::App* backup = root.add_subcommand(
      "backup", "Back tenants up while they run; and show, verify, try and restore backups");
  backup->require_subcommand(0, 1);
  backup->add_option("NAME", options->names,
                     "Tenants; behind -- also those that are named like a command");
  backup->add_flag("--all", options->all, "All tenants of the fleet");
  backup
      ->add_option("--repository", options->repository,
                   "Where to; that of the tenant's schedule, or the default one, when not given")
      ->type_name("NAME");
  AddChangeFlags(backup, &options->change);
  AddBackupCatalogue(*backup, chosen);
  AddBackupDrill(*backup, chosen);
  AddBackupRestore(*backup, chosen);
  AddBackupExport(*backup, chosen);
  AddBackupPrune(*backup, chosen);
  AddBackupSchedule(*backup, chosen);
  // Runs after the callback of the command that follows it, if one does.
  backup->callback([&chosen, options, backup] {
    if (backup->get_subcommands().empty()) {
      chosen.run = [options](Invocation& invocation) { return Create(invocation, *options); };
    } else if (const absl::Status unused = CheckUnused(*backup); !unused.ok()) {
      chosen.run = [unused](Invocation&) -> absl::StatusOr<int> { return unused; };
    }
  });
}

}  // namespace mtp::cli
