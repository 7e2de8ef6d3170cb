#include "agent/backup/databases.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/backup/database_child.h"
#include "agent/backup/database_isolation.h"
#include "agent/backup/database_line.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kDamagedMax = 20;

// Puts the child's output together, believing only its form.
class ReportReader {
 public:
  void Add(absl::string_view bytes) {
    while (!bytes.empty() && status_.ok()) {
      const size_t end = bytes.find('\n');
      absl::StrAppend(&line_, bytes.substr(0, end));
      // Checked at each piece, so that an endless line costs nothing.
      if (line_.size() > kDatabaseLineBytesMax) {
        status_ = absl::InternalError("the check of databases said too long a line");
      }
      if (end == absl::string_view::npos) return;
      bytes.remove_prefix(end + 1);
      if (status_.ok()) status_ = Take(line_);
      line_.clear();
    }
  }

  absl::StatusOr<DatabaseReport> Finish() {
    MTP_RETURN_IF_ERROR(status_);
    if (!ended_ || !line_.empty())
      return absl::InternalError("the check of databases did not say that it came to its end");
    return std::move(report_);
  }

 private:
  absl::Status Take(absl::string_view text) {
    const auto line = ParseDatabaseLine(text);
    if (!line.ok()) return absl::InternalError(line.status().message());
    if (ended_ || (line->is_end && line->checked != report_.checked) ||
        report_.checked == INT32_MAX)
      return absl::InternalError("the check of databases contradicts itself");
    ended_ = line->is_end;
    if (line->is_end) return absl::OkStatus();
    ++report_.checked;
    if (!line->problem.empty()) AddDamaged({line->path, line->problem});
    return absl::OkStatus();
  }

  void AddDamaged(const DatabaseProblem& problem) {
    std::vector<DatabaseProblem>& damaged = report_.damaged;
    const auto before = [](const DatabaseProblem& a, const DatabaseProblem& b) {
      return a.path < b.path;
    };
    damaged.insert(std::upper_bound(damaged.begin(), damaged.end(), problem, before), problem);
    if (damaged.size() > kDamagedMax) damaged.pop_back();
  }

  DatabaseReport report_;
  absl::Status status_;
  std::string line_;
  bool ended_ = false;
};

// RunSubprocess would name the program, which is mtp-agent itself.
absl::Status NotRun(const absl::Status& status, const DatabaseCheckOptions& options) {
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(absl::StrCat("the check of databases was not done within ",
                                                    absl::FormatDuration(options.deadline),
                                                    "; give it more time"));
  }
  if (absl::IsCancelled(status))
    return absl::CancelledError("the check of databases was cancelled");
  return Annotate(status, "check the databases of a copy");
}

absl::Status CheckChild(const SubprocessResult& result) {
  if (result.exit_code == 0) return absl::OkStatus();
  if (result.exit_code > 128) {
    return absl::InternalError(absl::StrCat("the check of databases was ended by signal ",
                                            result.exit_code - 128,
                                            "; make the copy again, and look at the host's memory "
                                            "and log when that repeats itself"));
  }
  const std::string said = PrintableProblem(result.stderr_text);
  const std::string message =
      absl::StrCat("the check of databases failed with code ", result.exit_code, ": ",
                   said.empty() ? "no words" : said);
  return result.exit_code == kDatabaseChildExhausted ? absl::ResourceExhaustedError(message)
                                                     : absl::InternalError(message);
}

}  // namespace

absl::StatusOr<DatabaseReport> CheckDatabases(const std::string& folder,
                                              const DatabaseCheckOptions& options,
                                              const CancelToken* cancel) {
  if (folder.empty() || folder.front() != '/')
    return absl::InvalidArgumentError("the folder with databases must be an absolute path");
  MTP_RETURN_IF_ERROR(CheckIdentity(options.uid, options.gid));
  SubprocessOptions command = DatabaseChildCommand(folder, options);
  command.cancel = cancel;
  ReportReader reader;
  command.on_stdout = [&](absl::string_view bytes) { reader.Add(bytes); };
  const auto result = RunSubprocess(command);
  if (!result.ok()) return NotRun(result.status(), options);
  MTP_RETURN_IF_ERROR(CheckChild(*result));
  return reader.Finish();
}

}  // namespace mtp
