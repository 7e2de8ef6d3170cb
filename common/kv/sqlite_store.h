// The default Store: one SQLite file (WAL, synchronous=FULL), held wholly in memory for reads.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/kv/store.h"

namespace mtp::kv {

// Opens or makes the file (mode 0600) and locks it for this process (flock on `path` + ".lock").
// FAILED_PRECONDITION when another process has it, DATA_LOSS when it is damaged (named by SQLite's
// integrity check).
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

// What is in the file, as of one moment, sorted by key; also while another process holds the store
// open. NOT_FOUND without such a file, DATA_LOSS when it is damaged or another program's.
absl::StatusOr<std::vector<Entry>> ReadSqliteStore(const std::string& path);

// The same store without a file, for tests and simulation.
std::unique_ptr<Store> NewMemoryStore();

}  // namespace mtp::kv
