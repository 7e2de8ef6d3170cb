#include "cli/commands/ask.h"

#include <absl/strings/str_cat.h>

#include "cli/commands/secret_input.h"
#include "cli/output/failure.h"
#include "common/base/status.h"

namespace mtp::cli {

bool PersonIsThere(const Invocation& invocation) {
  return invocation.environment.in_is_terminal && invocation.environment.err_is_terminal;
}

absl::Status Confirm(Invocation& invocation, absl::string_view question,
                     absl::string_view otherwise) {
  MTP_ASSIGN_OR_RETURN(const SecretString answer,
                       invocation.environment.ask(question, /*hidden=*/false));
  if (answer.Equals("y") || answer.Equals("Y") || answer.Equals("yes")) return absl::OkStatus();
  return WithExit(absl::CancelledError(otherwise), ExitCode::kFailed);
}

absl::Status AskForToken(Invocation& invocation, const std::string& tenant, std::string* field) {
  MTP_ASSIGN_OR_RETURN(SecretString typed,
                       invocation.environment.ask(
                           absl::StrCat("Telegram bot token for ", tenant, ": "), /*hidden=*/true));
  MTP_ASSIGN_OR_RETURN(const SecretString token, CheckSecret(std::move(typed), "the bot token"));
  *field = std::string(token.Reveal());
  return absl::OkStatus();
}

}  // namespace mtp::cli
