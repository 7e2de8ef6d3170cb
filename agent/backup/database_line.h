// What the child that checks databases tells its parent: a line of JSON for each database, and one
// for the end. The child works on a client's files and may be in the client's hands, so its parent
// believes none of it beyond its form.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>

namespace mtp {

struct DatabaseLine {
  bool is_end = false;
  int32_t checked = 0;  // At the end: how many lines came before.
  std::string path;     // Else: relative to the folder, and
  std::string problem;  // empty for a whole database.
};

// No line is longer.
inline constexpr size_t kDatabaseLineBytesMax = 16 << 10;
inline constexpr size_t kDatabaseProblemBytesMax = 300;

// With the newline at the end. The path travels in hexadecimal, since it may be any bytes.
std::string FormatDatabaseLine(const DatabaseLine& line);

// Without the newline. INVALID_ARGUMENT for all that FormatDatabaseLine does not say: a path that
// is absolute, leaves the folder or is too long, an odd number.
absl::StatusOr<DatabaseLine> ParseDatabaseLine(absl::string_view text);

// One line of printable ASCII of at most kDatabaseProblemBytesMax bytes.
std::string PrintableProblem(absl::string_view text);

}  // namespace mtp
