// The check of the SQLite databases inside a copy of a client's data.
//
// A copy of a frozen moment holds each database as a crash would leave it: its main file, and
// beside it a `-wal` or a `-journal` that belongs to it and to no other. This brings each into its
// main file alone and asks SQLite whether it is whole. The work is done by a child without
// privileges, since a database is a program for whoever opens it, and these are written by clients.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/process/subprocess.h"

namespace mtp {

struct DatabaseProblem {
  std::string path;     // Relative to the folder; any bytes, not always UTF-8.
  std::string problem;  // One line of printable text, at most 300 bytes; may quote the client.
};

struct DatabaseReport {
  // Databases found, with the damaged ones and with what the check may not look into.
  int32_t checked = 0;
  std::vector<DatabaseProblem> damaged;  // At most 20, the first ones sorted by path.
};

struct DatabaseCheckOptions {
  // Program with the subcommand `check-databases`: the running one, also when its file has been
  // replaced meanwhile. A test must name mtp-agent, since its own program has no such subcommand.
  std::string program = "/proc/self/exe";
  // Whom the child becomes: the owner of the client's files. Only -1, for both, works when this
  // process is not root: then the child stays who it is, and sees the whole file system. As root
  // neither may be 0 or -1.
  int uid = 1000;
  int gid = 1000;
  absl::Duration deadline = absl::Minutes(30);
};

// Folds each SQLite database under `folder` into its main file and checks it with `PRAGMA
// integrity_check`. `folder` is absolute, a copy that nobody else uses meanwhile; what is in it may
// be hostile. Blocks; thread-safe for different folders. `cancel` may be null.
//
// A whole database keeps its journal mode and has no `-wal`, `-shm` or `-journal` afterwards:
// committed is in the main file, uncommitted is gone. Its modification time is kept when there was
// nothing to fold, and is the time of folding otherwise. A database that is damaged, or that could
// not be checked (its owner may not read it, it needs too much memory or time), is reported and
// left as it was, byte for byte. All other files are left alone.
//
// Databases are regular files found by content: the main file begins as SQLite's do, or its `-wal`
// or `-journal` does.
//
// Errors, after which the folder may be half folded, so make a new copy: DEADLINE_EXCEEDED,
// CANCELLED, NOT_FOUND without the folder or program, INVALID_ARGUMENT for a relative path or a
// wrong uid or gid, RESOURCE_EXHAUSTED for a full disk or a folder beyond the limits (5 million
// entries, 128 levels, 100,000 databases), INTERNAL when the child failed or was killed.
absl::StatusOr<DatabaseReport> CheckDatabases(const std::string& folder,
                                              const DatabaseCheckOptions& options,
                                              const CancelToken* cancel);

}  // namespace mtp
