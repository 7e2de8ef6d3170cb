#include "agent/backup/database_line.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_split.h>
#include <limits.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/backup/beneath.h"

namespace mtp {
namespace {

using nlohmann::json;

constexpr char kPath[] = "path";
constexpr char kProblem[] = "problem";
constexpr char kEnd[] = "end";

bool IsRelativePath(const std::string& path) {
  if (path.size() >= PATH_MAX) return false;
  const std::vector<std::string> names = absl::StrSplit(path, '/');
  return std::all_of(names.begin(), names.end(), IsPlainName);
}

bool HexToBytes(const std::string& hex, std::string* bytes) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (hex.size() % 2 != 0 || !std::all_of(hex.begin(), hex.end(), is_digit)) return false;
  *bytes = absl::HexStringToBytes(hex);
  return true;
}

}  // namespace

std::string FormatDatabaseLine(const DatabaseLine& line) {
  json object;
  if (line.is_end) {
    object[kEnd] = line.checked;
  } else {
    object[kPath] = absl::BytesToHexString(line.path);
    object[kProblem] = PrintableProblem(line.problem);
  }
  return object.dump() + "\n";
}

absl::StatusOr<DatabaseLine> ParseDatabaseLine(absl::string_view text) {
  const absl::Status wrong =
      absl::InvalidArgumentError("the check of databases said something that it never says");
  if (text.size() > kDatabaseLineBytesMax) return wrong;
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return wrong;
  DatabaseLine line;
  if (object.size() == 1 && object.contains(kEnd)) {
    const json& end = object[kEnd];
    if (!end.is_number_unsigned() || end.get<uint64_t>() > INT32_MAX) return wrong;
    line.is_end = true;
    line.checked = end.get<int32_t>();
    return line;
  }
  if (object.size() != 2 || !object.contains(kPath) || !object.contains(kProblem)) return wrong;
  if (!object[kPath].is_string() || !object[kProblem].is_string()) return wrong;
  if (!HexToBytes(object[kPath].get<std::string>(), &line.path)) return wrong;
  if (!IsRelativePath(line.path)) return wrong;
  line.problem = PrintableProblem(object[kProblem].get<std::string>());
  return line;
}

std::string PrintableProblem(absl::string_view text) {
  std::string printable(text.substr(0, kDatabaseProblemBytesMax));
  for (char& c : printable) {
    if (c == '\n') c = ' ';
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return printable;
}

}  // namespace mtp
