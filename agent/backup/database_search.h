// Finding the SQLite databases in a client's folder, by content.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string>

namespace mtp {

// A database, or what may hide one.
struct FoundDatabase {
  int folder = -1;  // Descriptor of the folder that it is in; the callee may not keep it.
  std::string name;
  std::string path;  // Relative to the top, `name` last.
  // Not empty: a folder, or a file named as databases are, that may not be read; the sentence.
  std::string hidden;
};

struct DatabaseSearchLimits {
  int64_t max_entries = 5'000'000;
  int max_depth = 128;
};

// Gives `take` each regular file beneath the working folder that begins as an SQLite database does
// or has beside it a `-wal` or `-journal` that begins as SQLite's do; names by their bytes. What
// belongs to a database is not one itself. No link is followed and no other file system entered.
// `take` may change and remove the database's files. Errors: `take`'s, RESOURCE_EXHAUSTED beyond a
// limit, and a failing disk's.
absl::Status FindDatabases(const DatabaseSearchLimits& limits,
                           const std::function<absl::Status(const FoundDatabase& found)>& take);

}  // namespace mtp
