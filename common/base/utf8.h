// Text from outside (program output, errors of other systems) on its way into protobuf strings,
// which must be valid UTF-8: a message with any other bytes in a string cannot be read back.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp {

// The text with each byte that is not part of valid UTF-8 as `?`, cut to at most `max_bytes`
// between characters.
std::string ValidUtf8(absl::string_view text, size_t max_bytes);

// Whether it is valid UTF-8 without control characters.
bool IsLine(absl::string_view text);

// INVALID_ARGUMENT when a file at `path` with that text is not valid UTF-8 or has control
// characters besides tab and line ends (YAML 1.2, 5.1), which are `\n` and `\r\n`. For files that
// are read as YAML: its parser takes other bytes, and writes them back as something else. What is
// read from such a file is not yet text: of the escape `\_` the parser makes a byte that is no
// UTF-8 (yaml-cpp 0.7), so values are to be looked at, too.
absl::Status CheckTextFile(absl::string_view text, absl::string_view path);

}  // namespace mtp
