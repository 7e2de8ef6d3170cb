#include "agent/docker/read_only_routes.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "agent/docker/engine_answers.h"
#include "agent/docker/engine_http.h"
#include "agent/docker/json_fields.h"
#include "common/base/image_reference.h"
#include "common/base/status.h"

namespace mtp {
namespace {

using json_fields::Json;

constexpr size_t kMaxTarget = 6 * 1024;
constexpr size_t kMaxParameters = 16;
constexpr size_t kMaxFilterValues = 32;
constexpr size_t kMaxFilterValue = 256;

using Parameters = std::map<std::string, std::string>;

absl::Status Refused(const std::string& reason) {
  return absl::PermissionDeniedError(
      absl::StrCat("this socket passes only reading of the project: ", reason));
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.size() <= 18 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
}

// What each query parameter may be.
enum class ValueKind { kFlag, kNumber, kTail, kTime, kFilters };

struct ParameterRule {
  const char* name;
  ValueKind kind;
};

std::vector<ParameterRule> ParametersOf(ReadOnlyCall call) {
  switch (call) {
    case ReadOnlyCall::kListContainers:
      return {{"all", ValueKind::kFlag},
              {"limit", ValueKind::kNumber},
              {"filters", ValueKind::kFilters}};
    // Not `details`: it prints the environment variables that the log driver was told to add.
    case ReadOnlyCall::kContainerLogs:
      return {{"follow", ValueKind::kFlag}, {"stdout", ValueKind::kFlag},
              {"stderr", ValueKind::kFlag}, {"timestamps", ValueKind::kFlag},
              {"since", ValueKind::kTime},  {"until", ValueKind::kTime},
              {"tail", ValueKind::kTail}};
    case ReadOnlyCall::kContainerStats:
      return {{"stream", ValueKind::kFlag}, {"one-shot", ValueKind::kFlag}};
    case ReadOnlyCall::kEvents:
      return {{"since", ValueKind::kTime},
              {"until", ValueKind::kTime},
              {"filters", ValueKind::kFilters}};
    case ReadOnlyCall::kListImages:
      return {{"all", ValueKind::kFlag},
              {"digests", ValueKind::kFlag},
              {"filters", ValueKind::kFilters}};
    case ReadOnlyCall::kListNetworks:
      return {{"filters", ValueKind::kFilters}};
    // `top` takes arguments for the host's ps, which can print environments: none pass.
    case ReadOnlyCall::kContainerTop:
    case ReadOnlyCall::kPing:
    case ReadOnlyCall::kVersion:
    case ReadOnlyCall::kInfo:
    case ReadOnlyCall::kInspectContainer:
    case ReadOnlyCall::kInspectImage:
    case ReadOnlyCall::kInspectNetwork:
      return {};
  }
  return {};
}

std::vector<std::string> FiltersOf(ReadOnlyCall call) {
  switch (call) {
    case ReadOnlyCall::kListContainers:
      return {"id", "name", "status", "health", "exited", "ancestor", "label", "network"};
    case ReadOnlyCall::kEvents:
      return {"container", "event", "image", "label", "type"};
    case ReadOnlyCall::kListImages:
      return {"reference", "dangling", "label"};
    case ReadOnlyCall::kListNetworks:
      return {"id", "name", "driver", "label", "scope", "type"};
    default:
      return {};
  }
}

bool IsValue(ValueKind kind, const std::string& value) {
  switch (kind) {
    case ValueKind::kFlag:
      return value.empty() || value == "0" || value == "1" || value == "true" || value == "false" ||
             value == "True" || value == "False";
    case ValueKind::kNumber:
      return IsDigits(value);
    case ValueKind::kTail:
      return value == "all" || IsDigits(value);
    case ValueKind::kTime:
      return value.size() <= 64 && std::all_of(value.begin(), value.end(), [](char c) {
               return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == ':' ||
                      c == '-' || c == '+';
             });
    case ValueKind::kFilters:
      return true;  // Read by ParseFilters.
  }
  return false;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      result.push_back(' ');
    } else if (text[i] != '%') {
      result.push_back(text[i]);
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = digit(text[i + 1]);
      const int low = digit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      result.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  return result;
}

absl::StatusOr<Parameters> ParseQuery(std::string_view query) {
  Parameters parameters;
  if (query.empty()) return parameters;
  for (const std::string& pair :
       std::vector<std::string>(absl::StrSplit(std::string(query), '&'))) {
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    const std::optional<std::string> value =
        equals == std::string::npos ? "" : PercentDecode(std::string_view(pair).substr(equals + 1));
    if (!value.has_value()) return Refused("the query is malformed");
    if (!parameters.emplace(name, *value).second) {
      return Refused(absl::StrCat("a query parameter is given twice"));
    }
    if (parameters.size() > kMaxParameters) return Refused("too many query parameters");
  }
  return parameters;
}

// Values as a list, from the two forms that the engine takes: `["a"]` and `{"a":true}`.
absl::StatusOr<std::vector<std::string>> FilterValues(const Json& json) {
  std::vector<std::string> values;
  if (json.is_array()) {
    for (const Json& value : json) {
      if (!value.is_string()) return Refused("a filter's value is not text");
      values.push_back(value.get<std::string>());
    }
  } else if (json.is_object()) {
    for (const auto& [value, on] : json.items()) {
      if (!on.is_boolean() || !on.get<bool>()) return Refused("a filter's value is not true");
      values.push_back(value);
    }
  } else {
    return Refused("a filter has no list of values");
  }
  if (values.size() > kMaxFilterValues) return Refused("a filter has too many values");
  for (const std::string& value : values) {
    if (value.size() > kMaxFilterValue) return Refused("a filter's value is too long");
  }
  return values;
}

// The filters written anew, the project's label among them. The engine wants every label of a list
// to match, so more labels only narrow.
absl::StatusOr<std::string> ParseFilters(ReadOnlyCall call, const std::string& text,
                                         const std::string& project) {
  std::map<std::string, std::vector<std::string>> filters;
  if (!text.empty()) {
    const Json json = json_fields::Parse(text);
    if (!json.is_object()) return Refused("the filters are not a JSON object");
    const std::vector<std::string> known = FiltersOf(call);
    for (const auto& [name, values] : json.items()) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        return Refused("a filter is not on its list");
      }
      MTP_ASSIGN_OR_RETURN(filters[name], FilterValues(values));
    }
  }
  if (call == ReadOnlyCall::kEvents) filters["type"] = {"container"};
  if (call != ReadOnlyCall::kListImages) {
    filters["label"].push_back(absl::StrCat("com.docker.compose.project=", project));
  }
  return Json(filters).dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<std::string> QueryFor(ReadOnlyCall call, Parameters parameters,
                                     const std::string& project) {
  std::string query;
  const auto append = [&query](const std::string& name, const std::string& value) {
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=", PercentEncode(value));
  };
  for (const ParameterRule& rule : ParametersOf(call)) {
    const auto found = parameters.find(rule.name);
    if (rule.kind == ValueKind::kFilters) {
      MTP_ASSIGN_OR_RETURN(
          const std::string filters,
          ParseFilters(call, found == parameters.end() ? "" : found->second, project));
      append(rule.name, filters);
    } else if (found != parameters.end()) {
      if (!IsValue(rule.kind, found->second)) {
        return Refused(absl::StrCat("`", rule.name, "` has a value that is not allowed"));
      }
      append(rule.name, found->second);
    }
    if (found != parameters.end()) parameters.erase(found);
  }
  if (!parameters.empty()) return Refused("a query parameter is not on its list");
  return query;
}

// Takes `/v1.45` off the path; none is fine too.
std::string TakeVersion(std::string_view* path) {
  if (path->substr(0, 4) != "/v1.") return "";
  const size_t slash = path->find('/', 1);
  if (slash == std::string_view::npos) return "";
  const std::string version(path->substr(0, slash));
  const std::string minor = version.substr(4);
  if (!IsDigits(minor) || minor.size() > 3) return "";
  path->remove_prefix(slash);
  return version;
}

struct Route {
  ReadOnlyCall call;
  std::string object;
};

// `/containers/NAME/logs` -> NAME, when prefix and suffix fit.
std::optional<std::string> Between(std::string_view path, std::string_view prefix,
                                   std::string_view suffix) {
  if (path.size() <= prefix.size() + suffix.size()) return std::nullopt;
  if (path.substr(0, prefix.size()) != prefix) return std::nullopt;
  if (path.substr(path.size() - suffix.size()) != suffix) return std::nullopt;
  return std::string(path.substr(prefix.size(), path.size() - prefix.size() - suffix.size()));
}

std::optional<Route> FindRoute(std::string_view path) {
  static constexpr std::pair<std::string_view, ReadOnlyCall> kPlain[] = {
      {"/_ping", ReadOnlyCall::kPing},
      {"/version", ReadOnlyCall::kVersion},
      {"/info", ReadOnlyCall::kInfo},
      {"/containers/json", ReadOnlyCall::kListContainers},
      {"/events", ReadOnlyCall::kEvents},
      {"/images/json", ReadOnlyCall::kListImages},
      {"/networks", ReadOnlyCall::kListNetworks},
  };
  static constexpr std::pair<std::string_view, ReadOnlyCall> kOfContainer[] = {
      {"/json", ReadOnlyCall::kInspectContainer},
      {"/logs", ReadOnlyCall::kContainerLogs},
      {"/stats", ReadOnlyCall::kContainerStats},
      {"/top", ReadOnlyCall::kContainerTop},
  };
  for (const auto& [plain, call] : kPlain) {
    if (path == plain) return Route{call, ""};
  }
  for (const auto& [suffix, call] : kOfContainer) {
    const std::optional<std::string> name = Between(path, "/containers/", suffix);
    if (name.has_value() && IsContainerReference(*name)) return Route{call, *name};
  }
  const std::optional<std::string> image = Between(path, "/images/", "/json");
  if (image.has_value() && CheckImageReference(*image).ok()) {
    return Route{ReadOnlyCall::kInspectImage, *image};
  }
  const std::optional<std::string> network = Between(path, "/networks/", "");
  if (network.has_value() && IsContainerReference(*network)) {
    return Route{ReadOnlyCall::kInspectNetwork, *network};
  }
  return std::nullopt;
}

}  // namespace

bool ReadOnlyRequest::NamesProjectObject() const {
  return !object.empty() && call != ReadOnlyCall::kInspectImage;
}

std::string ReadOnlyRequest::EngineTarget(const std::string& id) const {
  const auto container = [&](const char* what) {
    return absl::StrCat(version, "/containers/", id, what, query);
  };
  switch (call) {
    case ReadOnlyCall::kPing:
      return absl::StrCat(version, "/_ping");
    case ReadOnlyCall::kVersion:
      return absl::StrCat(version, "/version");
    case ReadOnlyCall::kInfo:
      return absl::StrCat(version, "/info");
    case ReadOnlyCall::kListContainers:
      return absl::StrCat(version, "/containers/json", query);
    case ReadOnlyCall::kInspectContainer:
      return container("/json");
    case ReadOnlyCall::kContainerLogs:
      return container("/logs");
    case ReadOnlyCall::kContainerStats:
      return container("/stats");
    case ReadOnlyCall::kContainerTop:
      return container("/top");
    case ReadOnlyCall::kEvents:
      return absl::StrCat(version, "/events", query);
    case ReadOnlyCall::kListImages:
      return absl::StrCat(version, "/images/json", query);
    case ReadOnlyCall::kInspectImage:
      return absl::StrCat(version, "/images/", id, "/json");
    case ReadOnlyCall::kListNetworks:
      return absl::StrCat(version, "/networks", query);
    case ReadOnlyCall::kInspectNetwork:
      return absl::StrCat(version, "/networks/", id);
  }
  return "/_ping";
}

absl::StatusOr<ReadOnlyRequest> ParseReadOnlyRequest(std::string_view method,
                                                     std::string_view target,
                                                     const std::string& project) {
  if (method != "GET" && method != "HEAD") return Refused("only GET passes");
  if (target.size() > kMaxTarget) return Refused("the request is too long");
  const size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  // Of these characters alone no second spelling of a path can be made.
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '_' || c == '.' ||
           c == '-' || c == ':' || c == '@';
  });
  if (!plain || path.empty() || path.front() != '/') return Refused("the path is not a plain one");
  ReadOnlyRequest request;
  request.version = TakeVersion(&path);
  const std::optional<Route> route = FindRoute(path);
  if (!route.has_value()) return Refused("the path is not on its list");
  request.call = route->call;
  request.object = route->object;
  request.head_only = method == "HEAD";
  if (request.head_only && request.call != ReadOnlyCall::kPing) {
    return Refused("HEAD is only for /_ping");
  }
  MTP_ASSIGN_OR_RETURN(
      Parameters parameters,
      ParseQuery(question == std::string_view::npos ? "" : target.substr(question + 1)));
  MTP_ASSIGN_OR_RETURN(request.query, QueryFor(request.call, std::move(parameters), project));
  return request;
}

}  // namespace mtp
