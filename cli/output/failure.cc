#include "cli/output/failure.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "cli/output/table.h"
#include "cli/output/text.h"

namespace mtp::cli {
namespace {

constexpr absl::string_view kExitPayload = "mtp.cli/exit";
constexpr absl::string_view kHintPayload = "mtp.cli/hint";

}  // namespace

absl::Status WithExit(absl::Status status, ExitCode code) {
  status.SetPayload(kExitPayload, absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

absl::Status WithHint(absl::Status status, absl::string_view hint) {
  status.SetPayload(kHintPayload, absl::Cord(hint));
  return status;
}

ExitCode ExitOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  int code = 0;
  if (auto payload = status.GetPayload(kExitPayload);
      payload && absl::SimpleAtoi(std::string(*payload), &code)) {
    return static_cast<ExitCode>(code);
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kUsage;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kAborted:
      return ExitCode::kRefused;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnreachable;
    default:  // Abseil's own enum, which may grow: anything else is a plain failure
      return ExitCode::kFailed;
  }
}

std::string HintOf(const absl::Status& status) {
  if (auto payload = status.GetPayload(kHintPayload)) return std::string(*payload);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return "check that the controller runs and that the address is right: `mtp-cli context show`";
    case absl::StatusCode::kPermissionDenied:
      return "`mtp-cli operator list` shows who may do what; an admin can change your role";
    case absl::StatusCode::kUnauthenticated:
      return "this identity is not accepted; ask an admin for a new one: `mtp-cli operator add "
             "NAME`";
    case absl::StatusCode::kAborted:
      return "something else is changing it; `mtp-cli op list` shows what, then try again";
    case absl::StatusCode::kNotFound:
      return "`mtp-cli status` shows what there is";
    case absl::StatusCode::kResourceExhausted:
      return "`mtp-cli capacity` shows the room on every host";
    default:
      return "";
  }
}

std::string FailureText(const absl::Status& status, bool colour) {
  std::string text =
      absl::StrCat(Paint("error:", Tone::kBad, colour), " ", VisibleLines(status.message()), "\n");
  const std::string hint = HintOf(status);
  if (!hint.empty()) {
    absl::StrAppend(&text, Paint("hint:", Tone::kDim, colour), "  ", VisibleLines(hint), "\n");
  }
  return text;
}

std::string FailureJson(const absl::Status& status) {
  using Json = nlohmann::ordered_json;
  const Json error = {{"code", absl::StatusCodeToString(status.code())},
                      {"message", std::string(status.message())},
                      {"hint", HintOf(status)},
                      {"exit_code", static_cast<int>(ExitOf(status))}};
  return Json{{"error", error}}.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace mtp::cli
