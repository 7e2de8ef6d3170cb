// Backups and repositories as JSON, as tables, and in full. Pure.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mtp/v1/backup.pb.h"

namespace mtp::cli {

// The documented object of a backup (docs/cli.md); its `id` has no `backups/`.
nlohmann::ordered_json BackupJson(const v1::Backup& backup);

// `{"backups":[…]}`.
nlohmann::ordered_json BackupsJson(const std::vector<v1::Backup>& backups);

// One line a backup, as they come, then a line for each that holds damaged databases. The ID is
// always whole.
std::string BackupsTable(const std::vector<v1::Backup>& backups, absl::Time now, int width,
                         bool colour);

// All facts of one.
std::string BackupDetails(const v1::Backup& backup, absl::Time now, bool colour);

// The documented object of a repository.
nlohmann::ordered_json RepositoryJson(const v1::Repository& repository);

// One line a repository, then a line with the reason for each whose newest backup failed.
std::string RepositoriesTable(const std::vector<v1::Repository>& repositories, absl::Time now,
                              int width, bool colour);

// `3h12m ago`; `never` when it is not set.
std::string Ago(bool set, const google::protobuf::Timestamp& time, absl::Time now);

// `812B`, `3.4M`, `1.2G`, in powers of 1024.
std::string HumanBytes(int64_t bytes);

// `82ms`, `1.3s`, then as HumanDuration; `-` for none.
std::string PauseText(const google::protobuf::Duration& pause);

}  // namespace mtp::cli
