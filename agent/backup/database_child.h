// The child that checks the databases of a client's folder: mtp-agent's hidden subcommand
// `check-databases`, which only CheckDatabases starts.
#pragma once

#include <string>

#include "agent/backup/databases.h"
#include "common/process/subprocess.h"

namespace mtp {

// Exit codes besides 0, which says that all was checked.
inline constexpr int kDatabaseChildFailed = 1;
inline constexpr int kDatabaseChildExhausted = 3;  // A full disk or a limit of the search.

// How the child is started, with `folder` as its working folder.
SubprocessOptions DatabaseChildCommand(const std::string& folder,
                                       const DatabaseCheckOptions& options);

// The subcommand's main, for a process with one thread: takes all privileges from it, then checks
// the databases beneath the working folder. Tells of them on standard output as database_line.h
// says, and on standard error in one sentence why it failed. Ends the process.
[[noreturn]] void DatabaseChildMain(int uid, int gid);

}  // namespace mtp
