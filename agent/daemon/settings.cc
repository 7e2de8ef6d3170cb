#include "agent/daemon/settings.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <yaml-cpp/yaml.h>

#include "agent/compose/subnet_pool.h"
#include "common/base/atomic_file.h"
#include "common/base/image_reference.h"
#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace mtp {
namespace {

constexpr size_t kMaxFileBytes = 64 << 10;
constexpr int kMinStartPatience = 10;

std::string FilePath(const std::string& data_dir) { return data_dir + "/agent.yaml"; }

template <typename Value>
void Read(const YAML::Node& node, const char* name, Value* value) {
  if (node[name]) *value = node[name].as<Value>();
}

}  // namespace

absl::StatusOr<std::string> EngineSocketPath(const std::string& docker_host) {
  absl::string_view path = docker_host;
  if (!absl::ConsumePrefix(&path, "unix://") || !absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--docker-host \"", docker_host, "\" is not of the form unix:///var/run/docker.sock"));
  }
  return std::string(path);
}

std::string IdentityPath(const AgentSettings& settings) { return settings.data_dir + "/identity"; }

std::string GuardFolder(const AgentSettings& settings) { return settings.data_dir + "/guard"; }

absl::Status CheckSettings(const AgentSettings& settings) {
  for (const std::string* value : {&settings.fleet, &settings.data_dir, &settings.project_dir,
                                   &settings.listen, &settings.advertise, &settings.docker_host}) {
    if (!IsLine(*value)) return absl::InvalidArgumentError("every value is one line of UTF-8 text");
  }
  MTP_RETURN_IF_ERROR(HostName::Parse(settings.host).status());
  MTP_RETURN_IF_ERROR(EngineSocketPath(settings.docker_host).status());
  MTP_RETURN_IF_ERROR(CheckImageReference(settings.image));
  MTP_RETURN_IF_ERROR(SubnetPool::Parse(settings.subnet_pool).status());
  LogLevel level;
  MTP_RETURN_IF_ERROR(ParseLogLevel(settings.log_level, &level));
  for (const std::string* path : {&settings.data_dir, &settings.project_dir}) {
    if (!absl::StartsWith(*path, "/")) {
      return absl::InvalidArgumentError(absl::StrCat("\"", *path, "\" is not an absolute path"));
    }
  }
  if (!absl::StrContains(settings.listen, ":")) {
    return absl::InvalidArgumentError("--listen must be ADDRESS:PORT, such as 0.0.0.0:7443");
  }
  if (settings.memory_total_mib < 0 || settings.memory_reserve_mib < -1 ||
      settings.max_starts < 0) {
    return absl::InvalidArgumentError("memory sizes and --max-starts must not be negative");
  }
  if (settings.start_patience_s < kMinStartPatience) {
    return absl::InvalidArgumentError(
        absl::StrCat("--start-patience must be at least ", kMinStartPatience,
                     " seconds: a container that starts may be silent for as long as that"));
  }
  return absl::OkStatus();
}

absl::StatusOr<AgentSettings> LoadSettings(const std::string& data_dir) {
  auto text = ReadFile(FilePath(data_dir), kMaxFileBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat("this host has not joined a fleet (no ", FilePath(data_dir),
                     "). Get a token with `mtp-cli host token NAME` and run `mtp-agent join`"));
  }
  if (!text.ok()) return text.status();
  MTP_RETURN_IF_ERROR(CheckTextFile(*text, FilePath(data_dir)));
  AgentSettings settings;
  try {
    const YAML::Node node = YAML::Load(*text);
    Read(node, "host", &settings.host);
    Read(node, "fleet", &settings.fleet);
    Read(node, "project_dir", &settings.project_dir);
    Read(node, "listen", &settings.listen);
    Read(node, "advertise", &settings.advertise);
    Read(node, "docker_host", &settings.docker_host);
    Read(node, "image", &settings.image);
    Read(node, "memory_total_mib", &settings.memory_total_mib);
    Read(node, "memory_reserve_mib", &settings.memory_reserve_mib);
    Read(node, "subnet_pool", &settings.subnet_pool);
    Read(node, "admin", &settings.admin);
    Read(node, "max_starts", &settings.max_starts);
    Read(node, "start_patience_s", &settings.start_patience_s);
    Read(node, "log_level", &settings.log_level);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(FilePath(data_dir), " cannot be read: ", error.what()));
  }
  settings.data_dir = data_dir;
  if (settings.project_dir.empty()) settings.project_dir = data_dir + "/project";
  absl::Status valid = CheckSettings(settings);
  if (!valid.ok()) return Annotate(valid, FilePath(data_dir));
  return settings;
}

absl::Status SaveSettings(const AgentSettings& settings) {
  MTP_RETURN_IF_ERROR(CheckSettings(settings));
  YAML::Emitter out;
  out << YAML::Comment("Settings of this host's mtp-agent; restart it after a change.");
  out << YAML::BeginMap;
  out << YAML::Key << "host" << YAML::Value << settings.host;
  out << YAML::Key << "fleet" << YAML::Value << settings.fleet;
  out << YAML::Key << "project_dir" << YAML::Value << settings.project_dir;
  out << YAML::Key << "listen" << YAML::Value << settings.listen;
  out << YAML::Key << "advertise" << YAML::Value << settings.advertise;
  out << YAML::Key << "docker_host" << YAML::Value << settings.docker_host;
  out << YAML::Key << "image" << YAML::Value << settings.image;
  out << YAML::Key << "memory_total_mib" << YAML::Value << settings.memory_total_mib;
  out << YAML::Key << "memory_reserve_mib" << YAML::Value << settings.memory_reserve_mib;
  out << YAML::Key << "subnet_pool" << YAML::Value << settings.subnet_pool;
  out << YAML::Key << "admin" << YAML::Value << settings.admin;
  out << YAML::Key << "max_starts" << YAML::Value << settings.max_starts;
  out << YAML::Key << "start_patience_s" << YAML::Value << settings.start_patience_s;
  out << YAML::Key << "log_level" << YAML::Value << settings.log_level;
  out << YAML::EndMap;
  MTP_RETURN_IF_ERROR(MakeFolders(settings.data_dir, 0700));
  return WriteFileAtomically(FilePath(settings.data_dir), std::string(out.c_str()) + "\n", 0600);
}

}  // namespace mtp
