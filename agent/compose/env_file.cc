#include "agent/compose/env_file.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

namespace mtp {
namespace {

bool IsVariableName(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c == '_' || absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
}

// The text between double quotes with its escapes undone; false when the closing quote is not at
// the end.
bool UnquoteDouble(absl::string_view quoted, std::string* value) {
  for (size_t i = 1; i < quoted.size(); ++i) {
    const char c = quoted[i];
    if (c == '"') return i + 1 == quoted.size();
    if (c == '\\' && i + 1 < quoted.size()) {
      value->push_back(quoted[++i]);
    } else {
      value->push_back(c);
    }
  }
  return false;
}

bool ParseValue(absl::string_view raw, std::string* value) {
  if (raw.empty()) return true;
  if (raw.front() == '"') return UnquoteDouble(raw, value);
  if (raw.front() == '\'') {
    if (raw.size() < 2 || raw.back() != '\'') return false;
    *value = std::string(raw.substr(1, raw.size() - 2));
    return true;
  }
  *value = std::string(raw);
  return true;
}

}  // namespace

absl::StatusOr<std::string> QuoteEnvValue(absl::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return absl::InvalidArgumentError(
          "a value holds a control character (such as a line break). Secrets and settings are one "
          "line of printable characters");
    }
    if (c == '\\' || c == '"' || c == '$') quoted.push_back('\\');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

absl::StatusOr<std::map<std::string, std::string>> ParseEnvFile(absl::string_view text) {
  std::map<std::string, std::string> variables;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    const absl::string_view name =
        absl::StripAsciiWhitespace(line.substr(0, std::min(equals, line.size())));
    std::string value;
    if (equals == absl::string_view::npos || !IsVariableName(name) ||
        !ParseValue(absl::StripAsciiWhitespace(line.substr(equals + 1)), &value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, " is not of the form NAME=\"value\""));
    }
    variables[std::string(name)] = std::move(value);
  }
  return variables;
}

}  // namespace mtp
