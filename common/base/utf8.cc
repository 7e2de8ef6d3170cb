#include "common/base/utf8.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>

namespace mtp {
namespace {

bool IsContinuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Length of the valid character at the beginning of `text`; 0 when there is none (Unicode 15, table
// 3-7).
size_t CharacterLength(absl::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(at(i))) return 0;
  }
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if (first == 0xe0 && at(1) < 0xa0) return 0;
  if (first == 0xed && at(1) > 0x9f) return 0;
  if (first == 0xf0 && at(1) < 0x90) return 0;
  if (first == 0xf4 && at(1) > 0x8f) return 0;
  return length;
}

}  // namespace

std::string ValidUtf8(absl::string_view text, size_t max_bytes) {
  std::string valid;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const size_t taken = length == 0 ? 1 : length;
    if (valid.size() + taken > max_bytes) break;
    if (length == 0) {
      valid += '?';
    } else {
      valid.append(text.data(), length);
    }
    text.remove_prefix(taken);
  }
  return valid;
}

bool IsLine(absl::string_view text) {
  return ValidUtf8(text, text.size()) == text &&
         std::none_of(text.begin(), text.end(), absl::ascii_iscntrl);
}

absl::Status CheckTextFile(absl::string_view text, absl::string_view path) {
  bool steers = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool ends_line = text[i] == '\n' || absl::StartsWith(text.substr(i), "\r\n");
    steers |=
        absl::ascii_iscntrl(static_cast<unsigned char>(text[i])) && text[i] != '\t' && !ends_line;
  }
  if (!steers && ValidUtf8(text, text.size()) == text) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, " is not UTF-8 text; save it as such"));
}

}  // namespace mtp
