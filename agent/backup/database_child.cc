#include "agent/backup/database_child.h"

#include <absl/strings/str_cat.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "agent/backup/database_check.h"
#include "agent/backup/database_isolation.h"
#include "agent/backup/database_line.h"
#include "agent/backup/database_search.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr int32_t kDatabasesMax = 100'000;

absl::Status Tell(const DatabaseLine& line) {
  const std::string text = FormatDatabaseLine(line);
  // Each at once, so that what was found is known when the next one ends this process.
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return absl::InternalError("the agent does not listen any more");
  return absl::OkStatus();
}

absl::Status CheckAll() {
  int32_t checked = 0;
  MTP_RETURN_IF_ERROR(FindDatabases({}, [&](const FoundDatabase& found) -> absl::Status {
    if (checked == kDatabasesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("there are more than ", kDatabasesMax, " databases"));
    }
    MTP_ASSIGN_OR_RETURN(std::string problem, CheckDatabase(found));
    ++checked;
    return Tell({.path = found.path, .problem = std::move(problem)});
  }));
  return Tell({.is_end = true, .checked = checked});
}

absl::Status IsolateAndCheckAll(int uid, int gid) {
  // Too large a file is an error of the call.
  signal(SIGXFSZ, SIG_IGN);
  MTP_RETURN_IF_ERROR(Isolate(uid, gid));
  MTP_RETURN_IF_ERROR(PrepareSqlite());
  return CheckAll();
}

}  // namespace

SubprocessOptions DatabaseChildCommand(const std::string& folder,
                                       const DatabaseCheckOptions& options) {
  SubprocessOptions command;
  command.argv = {options.program, "check-databases", absl::StrCat("--uid=", options.uid),
                  absl::StrCat("--gid=", options.gid)};
  command.working_folder = folder;
  command.deadline = options.deadline;
  command.max_output_bytes = 4096;
  return command;
}

void DatabaseChildMain(int uid, int gid) {
  const absl::Status status = IsolateAndCheckAll(uid, gid);
  int code = 0;
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", OneLine(status.message(), 500).c_str());
    code = absl::IsResourceExhausted(status) ? kDatabaseChildExhausted : kDatabaseChildFailed;
  }
  // Handlers of exit, such as those that write counters of coverage, or look for leaks, know
  // nothing of where it is.
  _exit(code);
}

}  // namespace mtp
