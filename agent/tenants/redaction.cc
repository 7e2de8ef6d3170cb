#include "agent/tenants/redaction.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <vector>

#include "common/base/utf8.h"

namespace mtp {
namespace {

constexpr size_t kShortestSecret = 6;
constexpr char kRedacted[] = "[redacted]";

// Without escape sequences of terminals (ESC [ … letter) and other control characters.
std::string Plain(absl::string_view line) {
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      i += 2;
      while (i < line.size() && !absl::ascii_isalpha(static_cast<unsigned char>(line[i]))) ++i;
      continue;
    }
    if (!absl::ascii_iscntrl(static_cast<unsigned char>(line[i]))) plain.push_back(line[i]);
  }
  return plain;
}

// Of a character that began before.
bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

}  // namespace

std::string RedactSecrets(absl::string_view text, const v1::TenantSecrets& secrets) {
  std::vector<std::string> values = {secrets.telegram_token(), secrets.anthropic_key(),
                                     secrets.openai_key(), secrets.openrouter_key(),
                                     secrets.gateway_token()};
  const size_t colon = secrets.telegram_token().find(':');
  if (colon != std::string::npos) values.push_back(secrets.telegram_token().substr(colon + 1));
  // The longest first: one that stands within another would leave the rest of that.
  std::sort(values.begin(), values.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  std::string redacted(text);
  for (const std::string& value : values) {
    if (value.size() < kShortestSecret) continue;
    absl::StrReplaceAll({{value, kRedacted}}, &redacted);
  }
  return redacted;
}

std::vector<std::string> LastLineList(absl::string_view output, const v1::TenantSecrets& secrets,
                                      int max_lines, size_t max_bytes) {
  std::vector<std::string> lines;
  // Redacted before it is cut, so that no half of a secret remains; before and after the bytes go
  // that are no text, which could stand inside one.
  for (absl::string_view line : absl::StrSplit(RedactSecrets(output, secrets), '\n')) {
    const std::string text = Plain(line);
    std::string plain = RedactSecrets(ValidUtf8(text, text.size()), secrets);
    absl::StripAsciiWhitespace(&plain);
    if (!plain.empty()) lines.push_back(ValidUtf8(plain, max_bytes));
  }
  if (lines.size() > static_cast<size_t>(max_lines))
    lines.erase(lines.begin(), lines.end() - max_lines);
  return lines;
}

std::string LastLines(absl::string_view output, const v1::TenantSecrets& secrets, int max_lines,
                      size_t max_bytes) {
  const std::string joined = RedactSecrets(
      absl::StrJoin(LastLineList(output, secrets, max_lines, 2 * output.size()), " | "), secrets);
  if (joined.size() <= max_bytes) return joined;
  size_t begin = joined.size() - max_bytes;
  while (begin < joined.size() && IsContinuation(joined[begin])) ++begin;
  return "…" + joined.substr(begin);
}

}  // namespace mtp
