// What the commands of `backup` share. Each group of them has a file of its own.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/invocation.h"
#include "mtp/v1/backup.pb.h"

namespace mtp::cli {

// A ULID, or `backups/<ULID>` -> `backups/<ULID>`. INVALID_ARGUMENT with what it should be.
absl::StatusOr<std::string> ParseBackup(absl::string_view text);

// One backup, by what a person typed. NOT_FOUND when it is not in the catalogue.
absl::StatusOr<v1::Backup> GetBackup(Invocation& invocation, absl::string_view text);

// The newest `limit` backups, newest first; of one tenant (`tenants/acme`), or of all when empty.
absl::StatusOr<std::vector<v1::Backup>> ListBackups(Invocation& invocation,
                                                    const std::string& tenant, size_t limit);

// The newest backup of a tenant, by its short name. NOT_FOUND when there is none.
absl::StatusOr<v1::Backup> NewestBackup(Invocation& invocation, const std::string& name);

// The backup that is meant by what a person typed: an ID, or else a tenant's name for its newest.
absl::StatusOr<v1::Backup> ChooseBackup(Invocation& invocation, const std::string& text);

// `01K… of 3h12m ago`, to name a backup in a sentence.
std::string BackupTitle(const v1::Backup& backup, absl::Time now);

void AddBackupCatalogue(CLI::App& backup, Chosen& chosen);  // list, show, verify
void AddBackupDrill(CLI::App& backup, Chosen& chosen);
void AddBackupRestore(CLI::App& backup, Chosen& chosen);
void AddBackupExport(CLI::App& backup, Chosen& chosen);
void AddBackupPrune(CLI::App& backup, Chosen& chosen);
void AddBackupSchedule(CLI::App& backup, Chosen& chosen);

}  // namespace mtp::cli
