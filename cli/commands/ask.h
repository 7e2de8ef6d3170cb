// Questions to the person at the terminal.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>

#include "cli/commands/invocation.h"

namespace mtp::cli {

// Whether somebody can be asked: both ends are a terminal.
bool PersonIsThere(const Invocation& invocation);

// OK when the answer is yes; else CANCELLED with `otherwise`, exit code 1.
absl::Status Confirm(Invocation& invocation, absl::string_view question,
                     absl::string_view otherwise);

// Asks for the tenant's bot token without showing it.
absl::Status AskForToken(Invocation& invocation, const std::string& tenant, std::string* field);

}  // namespace mtp::cli
