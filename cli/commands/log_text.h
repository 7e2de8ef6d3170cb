// Output of containers on its way to a terminal.
#pragma once

#include <absl/strings/string_view.h>

#include <string>

namespace mtp::cli {

// Makes a stream of bytes safe for a terminal: newlines, tabs and colours pass (colours only when
// wanted), all else that could steer the terminal is made visible. Chunks may be cut anywhere.
class LogText {
 public:
  explicit LogText(bool colour) : colour_(colour) {}

  // What can be printed now; the start of an unfinished character or sequence is kept for the next
  // chunk.
  std::string Next(absl::string_view chunk);
  // The rest, at the end.
  std::string Rest();

 private:
  std::string Printable(bool at_end);

  const bool colour_;
  std::string pending_;
};

}  // namespace mtp::cli
