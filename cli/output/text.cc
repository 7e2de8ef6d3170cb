#include "cli/output/text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

namespace mtp::cli {
namespace {

// One code point of UTF-8 at the start of `text`: its bytes, and its value. A size of 0 means that
// the bytes are not UTF-8 (overlong forms, surrogates and values beyond U+10FFFF included).
struct CodePoint {
  size_t size = 0;
  uint32_t value = 0;
};

CodePoint FirstCodePoint(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t value = lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {size, value};
}

bool IsDangerous(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string Escape(absl::string_view text, absl::string_view kept) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    if (point.size == 0) {
      absl::StrAppendFormat(&shown, "\\x%02x", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (!IsDangerous(point.value) ||
        (point.size == 1 && kept.find(text[0]) != absl::string_view::npos)) {
      absl::StrAppend(&shown, text.substr(0, point.size));
    } else if (point.value == '\n') {
      shown += "\\n";
    } else if (point.value < 0x100) {
      absl::StrAppendFormat(&shown, "\\x%02x", point.value);
    } else {
      absl::StrAppendFormat(&shown, "\\u%04x", point.value);
    }
    text.remove_prefix(point.size);
  }
  return shown;
}

bool StartsCodePoint(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

}  // namespace

std::string Visible(absl::string_view text) { return Escape(text, ""); }

std::string VisibleLines(absl::string_view text) { return Escape(text, "\n\t"); }

int Width(absl::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), StartsCodePoint));
}

std::string Shorten(absl::string_view text, int width) {
  if (Width(text) <= width) return std::string(text);
  if (width <= 0) return "";
  int seen = 0;
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (StartsCodePoint(text[end]) && seen++ == width - 1) break;
  }
  return absl::StrCat(text.substr(0, end), "…");
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(0, absl::ToInt64Seconds(duration));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  if (seconds < 86400) return absl::StrFormat("%dh%02dm", seconds / 3600, seconds % 3600 / 60);
  return absl::StrFormat("%dd%02dh", seconds / 86400, seconds % 86400 / 3600);
}

std::string HumanMib(int64_t mib) {
  if (mib < 1024) return absl::StrCat(mib, "M");
  const double gib = static_cast<double>(mib) / 1024;
  return gib < 99.95 ? absl::StrFormat("%.1fG", gib) : absl::StrFormat("%.0fG", gib);
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace mtp::cli
