#include "cli/output/values.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <map>

#include "cli/output/text.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

std::map<std::string, std::string> Sorted(
    const google::protobuf::Map<std::string, std::string>& labels) {
  return {labels.begin(), labels.end()};
}

}  // namespace

std::string ShortName(absl::string_view resource) {
  const size_t slash = resource.rfind('/');
  return std::string(slash == absl::string_view::npos ? resource : resource.substr(slash + 1));
}

nlohmann::ordered_json TimeJson(bool set, const google::protobuf::Timestamp& time) {
  if (!set) return nullptr;
  return Rfc3339(FromTimestamp(time));
}

nlohmann::ordered_json LabelsJson(const google::protobuf::Map<std::string, std::string>& labels) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [key, value] : Sorted(labels)) json[key] = value;
  return json;
}

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  return absl::StrJoin(Sorted(labels), ",", absl::PairFormatter("="));
}

int64_t UptimeSeconds(bool set, const google::protobuf::Timestamp& start, absl::Time now) {
  if (!set) return 0;
  return std::max<int64_t>(0, absl::ToInt64Seconds(now - FromTimestamp(start)));
}

absl::string_view AdminState(const v1::Host& host) {
  if (host.status().state() == v1::HOST_STATE_UNREACHABLE) return "unknown";
  return host.status().admin().running() ? "running" : "stopped";
}

std::string AdminHealth(const v1::Host& host) {
  const std::string& health = host.status().admin().health();
  return health.empty() || AdminState(host) == "unknown" ? "unknown" : health;
}

}  // namespace mtp::cli
