#include "agent/docker/read_only_view.h"

#include <absl/strings/str_cat.h>

#include <initializer_list>

#include "agent/docker/json_fields.h"

namespace mtp {
namespace {

using json_fields::Field;
using json_fields::Json;
using json_fields::String;

constexpr char kProjectLabel[] = "com.docker.compose.project";
constexpr std::string_view kShownLabels = "com.docker.compose.";

std::string ToText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The named fields that are there.
Json Pick(const Json& object, std::initializer_list<const char*> names) {
  Json result = Json::object();
  for (const char* name : names) {
    if (object.is_object() && object.contains(name)) result[name] = object[name];
  }
  return result;
}

Json ShownLabels(const Json& labels) {
  Json result = Json::object();
  if (!labels.is_object()) return result;
  for (const auto& [name, value] : labels.items()) {
    if (name.rfind(kShownLabels, 0) == 0 && value.is_string()) result[name] = value;
  }
  return result;
}

bool IsOfProject(const Json& labels, const std::string& project) {
  return !project.empty() && String(labels, kProjectLabel) == project;
}

template <typename Function>
Json Map(const Json& list, Function function) {
  Json result = Json::array();
  if (!list.is_array()) return result;
  for (const Json& item : list) result.push_back(function(item));
  return result;
}

Json ShownMount(const Json& mount) {
  return Pick(mount,
              {"Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"});
}

Json ShownNetworks(const Json& networks) {
  Json result = Json::object();
  if (!networks.is_object()) return result;
  for (const auto& [name, network] : networks.items()) {
    result[name] = Pick(network, {"NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen",
                                  "MacAddress", "Aliases", "DNSNames"});
  }
  return result;
}

Json ContainerRow(const Json& row) {
  Json result =
      Pick(row, {"Id", "Names", "Image", "ImageID", "Created", "Ports", "State", "Status"});
  result["Command"] = "";
  result["Labels"] = ShownLabels(Field(row, "Labels"));
  result["HostConfig"] = Pick(Field(row, "HostConfig"), {"NetworkMode"});
  result["NetworkSettings"] = {
      {"Networks", ShownNetworks(Field(Field(row, "NetworkSettings"), "Networks"))}};
  result["Mounts"] = Map(Field(row, "Mounts"), ShownMount);
  return result;
}

Json ContainerList(const Json& list, const std::string& project) {
  Json result = Json::array();
  for (const Json& row : list) {
    // The engine was asked for the project's alone; this holds even if it took the filter
    // otherwise.
    if (IsOfProject(Field(row, "Labels"), project)) result.push_back(ContainerRow(row));
  }
  return result;
}

Json Container(const Json& json) {
  Json result =
      Pick(json, {"Id", "Created", "Image", "Name", "RestartCount", "Driver", "Platform"});
  const Json& state = Field(json, "State");
  result["State"] = Pick(state, {"Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead",
                                 "Pid", "ExitCode", "StartedAt", "FinishedAt"});
  if (Field(state, "Health").is_object()) {
    result["State"]["Health"] = Pick(Field(state, "Health"), {"Status", "FailingStreak"});
  }
  const Json& host = Field(json, "HostConfig");
  result["HostConfig"] = Pick(
      host, {"Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpuPeriod",
             "CpuQuota", "PidsLimit", "RestartPolicy", "NetworkMode", "PortBindings", "Privileged",
             "ReadonlyRootfs", "CapAdd", "CapDrop", "SecurityOpt", "Init", "OomScoreAdj"});
  // Its options may hold a log collector's token.
  result["HostConfig"]["LogConfig"] = Pick(Field(host, "LogConfig"), {"Type"});
  result["Mounts"] = Map(Field(json, "Mounts"), ShownMount);
  const Json& config = Field(json, "Config");
  result["Config"] = Pick(config, {"Hostname", "User", "Image", "WorkingDir", "ExposedPorts", "Tty",
                                   "StopSignal", "StopTimeout"});
  result["Config"]["Labels"] = ShownLabels(Field(config, "Labels"));
  const Json& network = Field(json, "NetworkSettings");
  result["NetworkSettings"] = Pick(network, {"Ports", "SandboxKey"});
  result["NetworkSettings"]["Networks"] = ShownNetworks(Field(network, "Networks"));
  return result;
}

// Titles and rows of ps; of a command line only the program, since arguments may hold what a tool
// was given.
Json Top(const Json& json) {
  Json result = Pick(json, {"Titles", "Processes"});
  const Json titles = Field(result, "Titles");
  for (size_t column = 0; titles.is_array() && column < titles.size(); ++column) {
    if (titles[column] != "CMD" && titles[column] != "COMMAND") continue;
    if (!Field(result, "Processes").is_array()) continue;
    for (Json& row : result["Processes"]) {
      if (!row.is_array() || column >= row.size() || !row[column].is_string()) continue;
      const std::string command = row[column].get<std::string>();
      row[column] = command.substr(0, command.find(' '));
    }
  }
  return result;
}

Json Info(const Json& json) {
  return Pick(json, {"Containers",
                     "ContainersRunning",
                     "ContainersPaused",
                     "ContainersStopped",
                     "Images",
                     "Driver",
                     "MemoryLimit",
                     "SwapLimit",
                     "CpuCfsPeriod",
                     "CpuCfsQuota",
                     "CPUShares",
                     "CPUSet",
                     "PidsLimit",
                     "IPv4Forwarding",
                     "OomKillDisable",
                     "NCPU",
                     "MemTotal",
                     "SystemTime",
                     "LoggingDriver",
                     "CgroupDriver",
                     "CgroupVersion",
                     "KernelVersion",
                     "OperatingSystem",
                     "OSVersion",
                     "OSType",
                     "Architecture",
                     "Name",
                     "ServerVersion",
                     "DefaultRuntime",
                     "LiveRestoreEnabled",
                     "SecurityOptions",
                     "DockerRootDir"});
}

Json ImageRow(const Json& row) {
  Json result = Pick(row, {"Id", "ParentId", "RepoTags", "RepoDigests", "Created", "Size",
                           "SharedSize", "VirtualSize", "Containers"});
  result["Labels"] = nullptr;
  return result;
}

Json Image(const Json& json) {
  Json result = Pick(json, {"Id", "RepoTags", "RepoDigests", "Created", "Architecture", "Os",
                            "Variant", "Size", "VirtualSize", "RootFS", "Metadata"});
  result["Config"] = Pick(Field(json, "Config"), {"User", "ExposedPorts", "WorkingDir", "Volumes"});
  return result;
}

Json Network(const Json& json) {
  Json result = Pick(json, {"Name", "Id", "Created", "Scope", "Driver", "EnableIPv6", "IPAM",
                            "Internal", "Attachable", "Ingress", "Containers"});
  result["Labels"] = ShownLabels(Field(json, "Labels"));
  return result;
}

Json NetworkList(const Json& list, const std::string& project) {
  Json result = Json::array();
  for (const Json& row : list) {
    if (IsOfProject(Field(row, "Labels"), project)) result.push_back(Network(row));
  }
  return result;
}

absl::Status Garbled() { return absl::InternalError("the engine's answer is not as documented"); }

}  // namespace

absl::StatusOr<std::string> ReadOnlyView(ReadOnlyCall call, std::string_view answer,
                                         const std::string& project) {
  const Json json = json_fields::Parse(answer);
  switch (call) {
    case ReadOnlyCall::kListContainers:
      if (!json.is_array()) return Garbled();
      return ToText(ContainerList(json, project));
    case ReadOnlyCall::kListImages:
      if (!json.is_array()) return Garbled();
      return ToText(Map(json, ImageRow));
    case ReadOnlyCall::kListNetworks:
      if (!json.is_array()) return Garbled();
      return ToText(NetworkList(json, project));
    case ReadOnlyCall::kVersion:
      if (!json.is_object()) return Garbled();
      return ToText(json);
    case ReadOnlyCall::kInfo:
      if (!json.is_object()) return Garbled();
      return ToText(Info(json));
    case ReadOnlyCall::kInspectContainer:
      if (!json.is_object()) return Garbled();
      return ToText(Container(json));
    case ReadOnlyCall::kContainerTop:
      if (!json.is_object()) return Garbled();
      return ToText(Top(json));
    case ReadOnlyCall::kInspectImage:
      if (!json.is_object()) return Garbled();
      return ToText(Image(json));
    case ReadOnlyCall::kInspectNetwork:
      if (!json.is_object()) return Garbled();
      return ToText(Network(json));
    case ReadOnlyCall::kPing:
    case ReadOnlyCall::kContainerLogs:
    case ReadOnlyCall::kContainerStats:
    case ReadOnlyCall::kEvents:
      return Garbled();
  }
  return Garbled();
}

std::string ReadOnlyEvent(std::string_view line, const std::string& project) {
  const Json json = json_fields::Parse(line);
  const Json& attributes = Field(Field(json, "Actor"), "Attributes");
  if (String(json, "Type") != "container" || !IsOfProject(attributes, project)) return "";
  // `exec_create: <command line>`: what ran is not shown.
  std::string action = String(json, "Action");
  if (action.rfind("exec_", 0) == 0) action = action.substr(0, action.find(':'));
  Json shown = Pick(attributes, {"name", "image", "exitCode", "signal", "execDuration"});
  shown.update(ShownLabels(attributes));
  Json result = Pick(json, {"Type", "scope", "time", "timeNano"});
  result["Action"] = action;
  result["Actor"] = {{"ID", String(Field(json, "Actor"), "ID")}, {"Attributes", shown}};
  // The same in the form of API versions before 1.52.
  result["status"] = action;
  result["id"] = String(Field(json, "Actor"), "ID");
  result["from"] = String(attributes, "image");
  return ToText(result);
}

std::string ProjectObjectId(std::string_view answer, const std::string& project) {
  const Json json = json_fields::Parse(answer);
  // A container has its labels in its configuration, a network at the top.
  const Json& config = Field(json, "Config");
  const Json& labels = config.is_object() ? Field(config, "Labels") : Field(json, "Labels");
  return IsOfProject(labels, project) ? String(json, "Id") : "";
}

}  // namespace mtp
