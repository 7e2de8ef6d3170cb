#include "cli/commands/group.h"

#include <absl/strings/str_cat.h>

#include "cli/output/failure.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"

namespace mtp::cli {

std::string GroupRequestId(const std::string& request_id, const std::string& tenant) {
  return absl::StrCat(request_id, ".", ShortName(tenant));
}

void TellFailure(Invocation& invocation, const std::string& tenant, absl::string_view why) {
  if (invocation.format != Format::kTable) return;
  invocation.environment.err << Paint(absl::StrCat(ShortName(tenant), ":"), Tone::kBad,
                                      invocation.err_colour())
                             << " " << Visible(why) << std::endl;
}

absl::Status GroupOutcome(const std::vector<absl::Status>& outcomes, const GroupWords& words) {
  int failures = 0;
  bool unreachable = false;
  bool failed = false;
  for (const absl::Status& outcome : outcomes) {
    if (outcome.ok()) continue;
    ++failures;
    const ExitCode code = ExitOf(outcome);
    unreachable = unreachable || code == ExitCode::kUnreachable;
    failed = failed || (code != ExitCode::kUnreachable && code != ExitCode::kTimedOut);
  }
  if (failures == 0) return absl::OkStatus();
  const std::string count = absl::StrCat(failures, " of ", outcomes.size(), " tenants");
  if (!failed && !unreachable) {
    return WithHint(WithExit(absl::DeadlineExceededError(absl::StrCat(
                                 words.what_goes_on, " ", count, " have not ended; they go on")),
                             ExitCode::kTimedOut),
                    "`mtp-cli op list --active` shows them");
  }
  const std::string sentence = absl::StrCat(words.begin, count, words.failed);
  if (!failed) return absl::UnavailableError(sentence);
  return WithHint(WithExit(absl::InternalError(sentence), ExitCode::kFailed),
                  "`mtp-cli op list` shows what was begun");
}

}  // namespace mtp::cli
