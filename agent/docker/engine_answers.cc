#include "agent/docker/engine_answers.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>

#include <algorithm>

#include "agent/docker/json_fields.h"

namespace mtp {
namespace {

using json_fields::Bool;
using json_fields::Field;
using json_fields::Int;
using json_fields::Json;
using json_fields::SmallInt;
using json_fields::String;
using json_fields::Strings;

constexpr size_t kMaxErrorMessage = 500;

absl::StatusOr<Json> ParseObject(std::string_view text, std::string_view what) {
  Json json = json_fields::Parse(text);
  if (!json.is_object()) {
    return absl::InternalError(
        absl::StrCat("the engine's answer is not ", std::string(what), " in JSON"));
  }
  return json;
}

// Unset for the engine's zero time, `0001-01-01T00:00:00Z`, and for anything that is no time.
std::optional<absl::Time> Time(const Json& object, const char* key) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, String(object, key), &time, &error)) return std::nullopt;
  if (time <= absl::UnixEpoch()) return std::nullopt;
  return time;
}

ContainerHealth Health(const Json& state) {
  const Json& health = Field(state, "Health");
  if (health.is_null()) return ContainerHealth::kNone;
  const std::string status = String(health, "Status");
  if (status == "starting") return ContainerHealth::kStarting;
  if (status == "healthy") return ContainerHealth::kHealthy;
  if (status == "unhealthy") return ContainerHealth::kUnhealthy;
  if (status == "none" || status.empty()) return ContainerHealth::kNone;
  return ContainerHealth::kUnknown;
}

std::string WithoutSlash(std::string name) {
  if (!name.empty() && name.front() == '/') name.erase(0, 1);
  return name;
}

std::vector<std::string> StringList(const Json& object, const char* key) {
  std::vector<std::string> result;
  const Json& list = Field(object, key);
  if (!list.is_array()) return result;
  for (const Json& item : list) {
    if (item.is_string()) result.push_back(item.get_ref<const std::string&>());
  }
  return result;
}

}  // namespace

std::string_view ContainerStateName(ContainerState state) {
  switch (state) {
    case ContainerState::kUnknown:
      return "unknown";
    case ContainerState::kCreated:
      return "created";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kPaused:
      return "paused";
    case ContainerState::kRestarting:
      return "restarting";
    case ContainerState::kRemoving:
      return "removing";
    case ContainerState::kExited:
      return "exited";
    case ContainerState::kDead:
      return "dead";
  }
  return "unknown";
}

ContainerState ParseContainerState(std::string_view word) {
  for (ContainerState state :
       {ContainerState::kCreated, ContainerState::kRunning, ContainerState::kPaused,
        ContainerState::kRestarting, ContainerState::kRemoving, ContainerState::kExited,
        ContainerState::kDead}) {
    if (word == ContainerStateName(state)) return state;
  }
  return ContainerState::kUnknown;
}

absl::StatusOr<EngineInfo> ParseEngineInfo(std::string_view info_text,
                                           std::string_view version_text) {
  absl::StatusOr<Json> info = ParseObject(info_text, "its description");
  if (!info.ok()) return info.status();
  absl::StatusOr<Json> version = ParseObject(version_text, "its version");
  if (!version.ok()) return version.status();
  EngineInfo result;
  result.engine_version = String(*version, "Version");
  result.api_version = String(*version, "ApiVersion");
  const std::string cgroup = String(*info, "CgroupVersion");
  result.cgroup_version = cgroup == "2" ? 2 : cgroup == "1" ? 1 : 0;
  result.cpus = SmallInt(*info, "NCPU");
  result.memory_bytes = Int(*info, "MemTotal");
  result.data_root = String(*info, "DockerRootDir");
  result.kernel_version = String(*info, "KernelVersion");
  result.live_restore = Bool(*info, "LiveRestoreEnabled");
  return result;
}

absl::StatusOr<std::vector<ContainerSummary>> ParseContainerList(std::string_view text) {
  const Json list = json_fields::Parse(text);
  if (!list.is_array()) {
    return absl::InternalError("the engine's answer is not a list of containers in JSON");
  }
  std::vector<ContainerSummary> result;
  for (const Json& row : list) {
    ContainerSummary summary;
    summary.id = String(row, "Id");
    if (summary.id.empty()) continue;
    std::vector<std::string> names = StringList(row, "Names");
    // Links give a container more names, `/other/alias`; its own has one slash.
    for (std::string& name : names) {
      if (std::count(name.begin(), name.end(), '/') <= 1) {
        summary.name = WithoutSlash(std::move(name));
        break;
      }
    }
    summary.image = String(row, "Image");
    summary.image_id = String(row, "ImageID");
    summary.state = ParseContainerState(String(row, "State"));
    summary.status = String(row, "Status");
    summary.labels = Strings(row, "Labels");
    summary.created = absl::FromUnixSeconds(Int(row, "Created"));
    result.push_back(std::move(summary));
  }
  return result;
}

absl::StatusOr<ContainerDetails> ParseContainerDetails(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "a container");
  if (!json.ok()) return json.status();
  const Json& state = Field(*json, "State");
  const Json& config = Field(*json, "Config");
  const Json& host_config = Field(*json, "HostConfig");
  ContainerDetails result;
  result.id = String(*json, "Id");
  result.name = WithoutSlash(String(*json, "Name"));
  result.image = String(config, "Image");
  result.image_id = String(*json, "Image");
  result.state = ParseContainerState(String(state, "Status"));
  result.health = Health(state);
  result.pid = std::max(0, SmallInt(state, "Pid"));
  result.exit_code = SmallInt(state, "ExitCode");
  result.oom_killed = Bool(state, "OOMKilled");
  result.error = String(state, "Error");
  result.started_at = Time(state, "StartedAt");
  result.finished_at = Time(state, "FinishedAt");
  result.tty = Bool(config, "Tty");
  result.restart_count = SmallInt(*json, "RestartCount");
  result.restart_policy = String(Field(host_config, "RestartPolicy"), "Name");
  result.memory_limit_bytes = Int(host_config, "Memory");
  result.memory_swap_limit_bytes = Int(host_config, "MemorySwap");
  result.labels = Strings(config, "Labels");
  const Json& networks = Field(Field(*json, "NetworkSettings"), "Networks");
  if (networks.is_object()) {
    for (const auto& [name, network] : networks.items()) {
      result.networks.push_back({name, String(network, "NetworkID"), String(network, "IPAddress")});
    }
  }
  if (result.id.empty()) {
    return absl::InternalError("the engine's answer describes a container without an id");
  }
  return result;
}

absl::StatusOr<ContainerStats> ParseContainerStats(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "statistics");
  if (!json.ok()) return json.status();
  const Json& memory = Field(*json, "memory_stats");
  const Json& details = Field(memory, "stats");
  ContainerStats result;
  // cgroup v1 says total_inactive_file, v2 inactive_file; the same rule as in the docker CLI.
  const int64_t inactive = details.is_object() && details.contains("total_inactive_file")
                               ? Int(details, "total_inactive_file")
                               : Int(details, "inactive_file");
  const int64_t usage = std::max<int64_t>(0, Int(memory, "usage"));
  result.memory_bytes = inactive > 0 && inactive < usage ? usage - inactive : usage;
  result.memory_limit_bytes = Int(memory, "limit");
  result.cpu_total_ns = Int(Field(Field(*json, "cpu_stats"), "cpu_usage"), "total_usage");
  result.processes = Int(Field(*json, "pids_stats"), "current");
  result.sampled = Time(*json, "read").value_or(absl::UnixEpoch());
  return result;
}

absl::StatusOr<ImageDetails> ParseImageDetails(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "an image");
  if (!json.ok()) return json.status();
  ImageDetails result;
  result.id = String(*json, "Id");
  result.tags = StringList(*json, "RepoTags");
  result.digests = StringList(*json, "RepoDigests");
  result.size_bytes = Int(*json, "Size");
  result.created = Time(*json, "Created").value_or(absl::UnixEpoch());
  if (result.id.empty()) {
    return absl::InternalError("the engine's answer describes an image without an id");
  }
  return result;
}

absl::StatusOr<std::string> ParseRegistryDigest(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "an image's digest");
  if (!json.ok()) return json.status();
  std::string digest = String(Field(*json, "Descriptor"), "digest");
  const std::string_view hex = std::string_view(digest).substr(std::min(digest.size(), size_t{7}));
  if (!absl::StartsWith(digest, "sha256:") || hex.size() != 64 ||
      !std::all_of(hex.begin(), hex.end(), [](char c) {
        return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
      })) {
    return absl::InternalError("the registry's answer has no usable digest");
  }
  return digest;
}

absl::StatusOr<EngineEvent> ParseEngineEvent(std::string_view line) {
  absl::StatusOr<Json> json = ParseObject(line, "an event");
  if (!json.ok()) return json.status();
  const Json& actor = Field(*json, "Actor");
  EngineEvent event;
  event.type = String(*json, "Type");
  event.action = String(*json, "Action");
  event.actor_id = String(actor, "ID");
  event.attributes = Strings(actor, "Attributes");
  event.time = absl::FromUnixNanos(Int(*json, "timeNano"));
  return event;
}

absl::StatusOr<std::string> ParseCreatedId(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "an id");
  if (!json.ok()) return json.status();
  std::string id = String(*json, "Id");
  if (!IsContainerReference(id)) {
    return absl::InternalError("the engine's answer has no usable id");
  }
  return id;
}

absl::StatusOr<ExecState> ParseExecState(std::string_view text) {
  absl::StatusOr<Json> json = ParseObject(text, "a command's state");
  if (!json.ok()) return json.status();
  return ExecState{Bool(*json, "Running"), std::max(0, SmallInt(*json, "Pid")),
                   SmallInt(*json, "ExitCode")};
}

std::string ParseErrorMessage(std::string_view text) {
  std::string message = String(json_fields::Parse(text), "message");
  if (message.size() > kMaxErrorMessage) message.resize(kMaxErrorMessage);
  for (char& c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  absl::StripAsciiWhitespace(&message);
  return message.empty() ? "no reason given" : message;
}

bool IsContainerReference(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  if (!absl::ascii_isalnum(static_cast<unsigned char>(text.front()))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace mtp
