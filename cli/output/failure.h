// How a command that did not succeed says so: one sentence, one hint, an exit code.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp::cli {

// Documented in docs/cli.md; scripts rely on them.
enum class ExitCode {
  kDone = 0,
  kFailed = 1,       // tried, and it did not work
  kUsage = 2,        // what was typed is wrong; nothing was sent or changed
  kRefused = 3,      // a rule forbids it: duplicate, no room, not allowed, unknown, busy
  kUnreachable = 4,  // the controller does not answer; whether anything happened is not known
  kTimedOut = 5,     // the operation goes on, only the waiting ended
};

// The status with another exit code than its own code stands for, or with a hint; the last one
// given counts.
absl::Status WithExit(absl::Status status, ExitCode code);
absl::Status WithHint(absl::Status status, absl::string_view hint);

// From WithExit; else by the status code: INVALID_ARGUMENT and OUT_OF_RANGE are usage;
// ALREADY_EXISTS, NOT_FOUND, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, PERMISSION_DENIED,
// UNAUTHENTICATED and ABORTED are refusals; UNAVAILABLE is unreachable; all else failed.
ExitCode ExitOf(const absl::Status& status);
// From WithHint; else what fits the status code; may be empty.
std::string HintOf(const absl::Status& status);

// `error: …` and `hint: …`, each on a line; a message may have further lines with details.
std::string FailureText(const absl::Status& status, bool colour);
// `{"error":{"code","message","hint","exit_code"}}` in one line; `code` is the status code's name.
std::string FailureJson(const absl::Status& status);

}  // namespace mtp::cli
