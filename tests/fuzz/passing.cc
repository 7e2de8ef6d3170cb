#include "tests/fuzz/passing.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <vector>

namespace mtp::fuzz {
namespace {

constexpr absl::string_view kWord =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

bool OnlyOf(absl::string_view text, absl::string_view extra) {
  return text.find_first_not_of(absl::StrCat(kWord, extra)) == absl::string_view::npos;
}

bool IsVersion(absl::string_view part) {
  return absl::StartsWith(part, "v1.") && part.size() > 3 && part.size() <= 6 &&
         part.find_first_not_of("0123456789", 3) == absl::string_view::npos;
}

// One component of a path that is no way up.
bool IsObject(absl::string_view part, absl::string_view extra) {
  return !part.empty() && part[0] != '.' && part[0] != '-' && part[0] != '_' && OnlyOf(part, extra);
}

bool IsImage(std::vector<std::string> parts) {
  if (parts.size() < 3 || parts.front() != "images" || parts.back() != "json") return false;
  return std::all_of(parts.begin() + 1, parts.end() - 1,
                     [](const std::string& part) { return IsObject(part, ":@"); });
}

bool IsReadingPath(const std::vector<std::string>& parts) {
  const std::string path = absl::StrJoin(parts, "/");
  for (const char* plain :
       {"_ping", "version", "info", "containers/json", "events", "images/json", "networks"}) {
    if (path == plain) return true;
  }
  if (IsImage(parts)) return true;
  if (parts.size() == 2) return parts[0] == "networks" && IsObject(parts[1], "");
  return parts.size() == 3 && parts[0] == "containers" && IsObject(parts[1], "") &&
         (parts[2] == "json" || parts[2] == "logs" || parts[2] == "stats" || parts[2] == "top");
}

}  // namespace

bool MayPass(absl::string_view target, const std::string& project) {
  const size_t question = target.find('?');
  const absl::string_view path = target.substr(0, question);
  if (!absl::StartsWith(path, "/")) return false;
  std::vector<std::string> parts = absl::StrSplit(path.substr(1), '/');
  if (IsVersion(parts.front())) parts.erase(parts.begin());
  if (!IsReadingPath(parts)) return false;
  const absl::string_view query =
      question == absl::string_view::npos ? "" : target.substr(question + 1);
  if (!OnlyOf(query, "&=%~")) return false;
  const std::string plain = absl::StrJoin(parts, "/");
  const bool narrowed = plain == "containers/json" || plain == "events" || plain == "networks";
  return !narrowed ||
         absl::StrContains(query, absl::StrCat("%22com.docker.compose.project%3D", project, "%22"));
}

}  // namespace mtp::fuzz
