#include "cli/commands/log_text.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/output/text.h"

namespace mtp::cli {
namespace {

// Longer ones are no colours.
constexpr size_t kLongestColour = 32;

struct Sequence {
  size_t size = 0;          // of a colour sequence at the start; 0 when it is none
  bool unfinished = false;  // more bytes may make it one
};

// `ESC [ digits and semicolons m` (ECMA-48, SGR).
Sequence ColourAt(absl::string_view text) {
  if (text.size() > 1 && text[1] != '[') return {};
  size_t end = 2;
  while (end < text.size() && end < kLongestColour &&
         (absl::ascii_isdigit(text[end]) || text[end] == ';'))
    ++end;
  if (end >= kLongestColour) return {};
  if (end >= text.size()) return {0, true};
  return {text[end] == 'm' ? end + 1 : 0, false};
}

// Bytes at the end that begin a character of UTF-8 whose rest has not come.
size_t UnfinishedCharacter(absl::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const size_t size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::string LogText::Next(absl::string_view chunk) {
  absl::StrAppend(&pending_, chunk);
  return Printable(/*at_end=*/false);
}

std::string LogText::Rest() { return Printable(/*at_end=*/true); }

std::string LogText::Printable(bool at_end) {
  std::string shown;
  absl::string_view left = pending_;
  while (!left.empty()) {
    const size_t escape = std::min(left.find('\x1b'), left.size());
    absl::string_view plain = left.substr(0, escape);
    if (escape == left.size() && !at_end) plain.remove_suffix(UnfinishedCharacter(plain));
    // A carriage return before a newline is how some programs end lines.
    for (absl::string_view rest = plain; !rest.empty();) {
      const size_t line_end = std::min(rest.find("\r\n"), rest.size());
      absl::StrAppend(&shown, VisibleLines(rest.substr(0, line_end)));
      if (line_end == rest.size()) break;
      shown += "\n";
      rest.remove_prefix(line_end + 2);
    }
    left.remove_prefix(plain.size());
    if (left.empty() || left[0] != '\x1b') break;
    const Sequence colour = ColourAt(left);
    if (colour.unfinished && !at_end) break;
    if (colour.size > 0) {
      if (colour_) absl::StrAppend(&shown, left.substr(0, colour.size));
      left.remove_prefix(colour.size);
    } else {
      absl::StrAppend(&shown, Visible(left.substr(0, 1)));
      left.remove_prefix(1);
    }
  }
  pending_ = std::string(left);
  return shown;
}

}  // namespace mtp::cli
