// The default Store: one SQLite file (WAL, synchronous=FULL), held wholly in memory for reads.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "common/kv/store.h"

namespace mtp::kv {

// Opens or makes the file (mode 0600) and locks it for this process (flock on `path` + ".lock").
// FAILED_PRECONDITION when another process has it, DATA_LOSS when it is damaged (named by SQLite's
// integrity check).
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

// The same store without a file, for tests and simulation.
std::unique_ptr<Store> NewMemoryStore();

}  // namespace mtp::kv
