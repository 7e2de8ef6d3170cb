// The project's `.env`: the one file that holds secrets in the clear (mode 0600).
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <map>
#include <string>

namespace mtp {

// `text` in double quotes as Compose reads it back unchanged: backslash, double quote and dollar
// sign are escaped by a backslash (docs/decisions/0006-agent-folder.md has the measurement).
// INVALID_ARGUMENT for control characters, which a line of the file cannot carry.
absl::StatusOr<std::string> QuoteEnvValue(absl::string_view text);

// The variables of an env file that a person wrote: `NAME=value`, `NAME="value"` with the escapes
// above, `NAME='value'`; `#` begins a comment line. INVALID_ARGUMENT names the line (never its
// content) that is none of these.
absl::StatusOr<std::map<std::string, std::string>> ParseEnvFile(absl::string_view text);

}  // namespace mtp
