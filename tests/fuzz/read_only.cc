// The admin instance's filtered socket: only reading passes, of the project alone, and answers are
// cut down. filtered_socket.cc has the same with connections.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/docker/read_only_routes.h"
#include "agent/docker/read_only_view.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/passing.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

using nlohmann::json;

const std::string& ProjectName() {
  static const std::string name = "mtp";
  return name;
}

bool IsOfProject(const json& labels) {
  return labels.is_object() && labels.value("com.docker.compose.project", json()) == ProjectName();
}

void CheckLabels(const json& labels) {
  for (const auto& [name, value] : labels.items()) {
    MTP_HOLDS(absl::StartsWith(name, "com.docker.compose.") && value.is_string());
  }
}

void CheckView(ReadOnlyCall call, const json& view) {
  if (call == ReadOnlyCall::kListContainers || call == ReadOnlyCall::kListNetworks) {
    for (const json& row : view) {
      MTP_HOLDS(IsOfProject(row["Labels"]));
      CheckLabels(row["Labels"]);
      if (call == ReadOnlyCall::kListContainers)
        MTP_HOLDS(row["Command"].get<std::string>().empty());
    }
  }
  if (call == ReadOnlyCall::kInspectContainer) {
    for (const char* secret : {"Env", "Cmd", "Entrypoint", "Healthcheck"}) {
      MTP_HOLDS(!view["Config"].contains(secret));
    }
    for (const char* secret : {"Args", "Path", "LogPath", "ExecIDs", "GraphDriver"}) {
      MTP_HOLDS(!view.contains(secret));
    }
    MTP_HOLDS(!view["HostConfig"].contains("Binds"));
    MTP_HOLDS(!view["HostConfig"]["LogConfig"].contains("Config"));
    CheckLabels(view["Config"]["Labels"]);
  }
  if (call == ReadOnlyCall::kInspectImage) MTP_HOLDS(!view["Config"].contains("Env"));
  if (call == ReadOnlyCall::kInfo) {
    for (const char* secret : {"HttpProxy", "HttpsProxy", "RegistryConfig", "Labels", "Swarm"}) {
      MTP_HOLDS(!view.contains(secret));
    }
  }
}

ReadOnlyCall CallOf(absl::string_view word) {
  static const std::pair<absl::string_view, ReadOnlyCall> kWords[] = {
      {"list", ReadOnlyCall::kListContainers},   {"container", ReadOnlyCall::kInspectContainer},
      {"top", ReadOnlyCall::kContainerTop},      {"info", ReadOnlyCall::kInfo},
      {"images", ReadOnlyCall::kListImages},     {"image", ReadOnlyCall::kInspectImage},
      {"networks", ReadOnlyCall::kListNetworks}, {"network", ReadOnlyCall::kInspectNetwork},
      {"version", ReadOnlyCall::kVersion},       {"logs", ReadOnlyCall::kContainerLogs},
  };
  for (const auto& [name, call] : kWords) {
    if (name == word) return call;
  }
  return ReadOnlyCall::kEvents;
}

void CheckEvent(std::string_view line) {
  const std::string event = ReadOnlyEvent(line, ProjectName());
  if (event.empty()) return;
  const json shown = json::parse(event);
  MTP_HOLDS(shown["Type"] == "container");
  MTP_HOLDS(IsOfProject(shown["Actor"]["Attributes"]));
  const auto action = shown["Action"].get<std::string>();
  // `exec_create: <command line>`
  MTP_HOLDS(!absl::StartsWith(action, "exec_") || !absl::StrContains(action, ':'));
  MTP_HOLDS(!absl::StrContains(event, '\n'));
}

}  // namespace

// A method, a blank, and a request's target.
void ReadOnlyRequests(absl::string_view input) {
  Input bytes(input);
  const std::string method = bytes.Until(' ');
  const std::string_view target = Std(bytes.Rest());
  const auto request = ParseReadOnlyRequest(method, target, ProjectName());
  if (!request.ok()) {
    MTP_HOLDS(absl::IsPermissionDenied(request.status()));
    return;
  }
  MTP_HOLDS(method == "GET" || (method == "HEAD" && request->call == ReadOnlyCall::kPing));
  const std::string id = request->NamesProjectObject() ? std::string(64, 'a') : request->object;
  const std::string passed = request->EngineTarget(id);
  MTP_HOLDS(MayPass(passed, ProjectName()));
  // What is passed is read in the same way again. One more label may be one too many.
  const auto again = ParseReadOnlyRequest("GET", passed, ProjectName());
  if (again.ok()) {
    MTP_HOLDS(again->call == request->call && again->object == id);
    MTP_HOLDS(again->version == request->version);
  } else {
    MTP_HOLDS(absl::StrContains(passed, "filters="));
  }
}

// The first line says what was asked; the rest is the engine's answer.
void ReadOnlyAnswers(absl::string_view input) {
  Input bytes(input);
  const ReadOnlyCall call = CallOf(bytes.Line());
  const std::string answer(bytes.Rest());
  const auto view = ReadOnlyView(call, answer, ProjectName());
  MTP_HOLDS(view.ok() || absl::IsInternal(view.status()));
  if (view.ok()) CheckView(call, json::parse(*view));
  CheckEvent(answer);
  const std::string id = ProjectObjectId(answer, ProjectName());
  MTP_HOLDS(id.empty() || absl::StrContains(answer, "com.docker.compose.project") ||
            absl::StrContains(answer, "\\u"));
}

}  // namespace mtp::fuzz
