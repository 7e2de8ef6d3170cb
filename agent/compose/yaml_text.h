// Text as a YAML scalar in a Compose file.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp {

// In double quotes, with `$` doubled so that Compose does not take it for a variable.
// INVALID_ARGUMENT for control characters.
absl::StatusOr<std::string> QuoteComposeText(absl::string_view text);

}  // namespace mtp
