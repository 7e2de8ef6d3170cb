// Folding and checking one SQLite database of a client. For a process that has nothing to lose:
// whoever opens a database runs what its author wrote.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "agent/backup/database_search.h"

namespace mtp {

// Once per process, before the first check: SQLite's own limits.
absl::Status PrepareSqlite();

// Makes the database its main file alone and checks it, as databases.h says. What is wrong with it,
// then all its files are as they were, or "" when it is whole. Errors, after which the database may
// be half folded: RESOURCE_EXHAUSTED for a full disk, INTERNAL for a failing one.
absl::StatusOr<std::string> CheckDatabase(const FoundDatabase& found);

}  // namespace mtp
