// YAML that people write: settings of the programs, the CLI's contexts, the recovery kit.
#include "agent/daemon/settings.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands/contexts.h"
#include "cli/output/yaml.h"
#include "common/base/names.h"
#include "common/base/utf8.h"
#include "common/restic/repository_place.h"
#include "controller/daemon/settings.h"
#include "controller/recovery/kit.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

// Stands in every secret and nowhere else.
constexpr char kCanary[] = "c4n4ry";

auto Fields(const mtp::AgentSettings& s) {
  return std::tie(s.host, s.fleet, s.data_dir, s.project_dir, s.listen, s.advertise, s.docker_host,
                  s.image, s.memory_total_mib, s.memory_reserve_mib, s.subnet_pool, s.admin,
                  s.max_starts, s.start_patience_s, s.log_level);
}

auto Fields(const mtp::ControllerSettings& s) {
  return std::tie(s.fleet, s.listen, s.enroll_listen, s.enroll_advertise, s.default_image,
                  s.default_reservation_mib, s.min_memory_limit_mib, s.tenant_environment,
                  s.lease_s, s.policy);
}

template <typename Settings>
bool AreEqual(const Settings& a, const Settings& b) {
  return Fields(a) == Fields(b);
}

bool AreEqual(const cli::ContextFile& a, const cli::ContextFile& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.controller == y.second.controller &&
           x.second.identity_folder == y.second.identity_folder;
  };
  return a.current == b.current && std::equal(a.contexts.begin(), a.contexts.end(),
                                              b.contexts.begin(), b.contexts.end(), equal);
}

bool IsOneSentence(const absl::Status& status) {
  return absl::IsInvalidArgument(status) && status.message().size() < 8192;
}

// What is read from the text can be written, and is the same when it is read again.
template <typename Read, typename Write>
auto ReadTwice(const std::string& path, absl::string_view input, Read read, Write write) {
  PutFile(path, input);
  auto first = read();
  if (!first.ok()) {
    MTP_HOLDS(IsOneSentence(first.status()));
    return first;
  }
  MTP_HOLDS(write(*first).ok());
  const auto again = read();
  MTP_HOLDS(again.ok() && AreEqual(*again, *first));
  return first;
}

std::string Text(const std::string& bytes) { return ValidUtf8(bytes, bytes.size()); }

// Lines: fleet, name, url, secrets.
nlohmann::ordered_json ReadKit(absl::string_view input) {
  Input lines(input);
  nlohmann::ordered_json kit;
  kit["fleet"] = Text(lines.Line());
  nlohmann::ordered_json& row = kit["repositories"].emplace_back();
  row["name"] = Text(lines.Line());
  row["url"] = Text(lines.Line());
  const std::string key = Text(lines.Line());
  row["root_key"] = key.empty() ? std::string(64, 'a') : kCanary + key;
  for (const char* secret : {"s3_access_key", "s3_secret_key", "sftp_private_key",
                             "sftp_known_hosts", "ca_certificates"}) {
    const std::string value = Text(lines.Line());
    if (!value.empty()) row[secret] = kCanary + value;
  }
  return kit;
}

void CheckKit(const v1::RecoveryKit& kit) {
  MTP_HOLDS(HostName::Parse(kit.fleet()).ok());
  MTP_HOLDS(!kit.repositories().empty());
  for (const auto& entry : kit.repositories()) {
    const auto place = RepositoryPlace::Parse(entry.repository().url());
    MTP_HOLDS(place.ok() && place->url() == entry.repository().url());
    MTP_HOLDS(entry.secrets().root_key().size() == 64);
  }
}

}  // namespace

// The text is `agent.yaml`.
void AgentSettings(absl::string_view input) {
  const std::string& folder = Scratch();
  const auto settings = ReadTwice(
      folder + "/agent.yaml", input, [&] { return LoadSettings(folder); }, SaveSettings);
  MTP_HOLDS(!settings.ok() || CheckSettings(*settings).ok());
}

// The text is `controller.yaml`.
void ControllerSettings(absl::string_view input) {
  const std::string& folder = Scratch();
  const auto settings = ReadTwice(
      folder + "/controller.yaml", input, [&] { return ReadSettings(folder); },
      [&](const mtp::ControllerSettings& read) { return WriteSettings(folder, read); });
  if (!settings.ok()) return;
  MTP_HOLDS(CheckSettings(*settings).ok());
  MTP_HOLDS(HostName::Parse(settings->fleet).ok());
  MTP_HOLDS(!settings->enroll_advertise.empty() || settings->enroll_listen.empty());
}

// The text is the CLI's `config.yaml`.
void CliContexts(absl::string_view input) {
  const std::string path = Scratch() + "/config.yaml";
  const auto file = ReadTwice(
      path, input, [&] { return cli::ReadContextFile(path); },
      [&](const cli::ContextFile& read) { return cli::WriteContextFile(path, read); });
  if (!file.ok()) return;
  for (const auto& [name, endpoint] : file->contexts) {
    MTP_HOLDS(endpoint.identity_folder.empty() || endpoint.identity_folder.front() == '/');
  }
}

// The text is a kit, and the lines are what stands in one.
void RecoveryKit(absl::string_view input) {
  const auto kit = ParseKit(std::string(input));
  if (kit.ok()) {
    CheckKit(*kit);
  } else {
    MTP_HOLDS(absl::IsInvalidArgument(kit.status()));
  }

  const nlohmann::ordered_json written = ReadKit(input);
  const auto from_yaml = ParseKit(cli::YamlText(written));
  const auto from_json = ParseKit(written.dump());
  MTP_HOLDS(from_yaml.ok() == from_json.ok());
  if (from_yaml.ok()) {
    MTP_HOLDS(from_yaml->SerializeAsString() == from_json->SerializeAsString());
    CheckKit(*from_yaml);
    const auto& row = written["repositories"][0];
    const auto& entry = from_yaml->repositories(0);
    MTP_HOLDS(entry.repository().name() == "repositories/" + row["name"].get<std::string>());
    MTP_HOLDS(entry.secrets().s3_secret_key() == row.value("s3_secret_key", ""));
    MTP_HOLDS(entry.secrets().sftp_private_key() == row.value("sftp_private_key", ""));
  } else {
    for (const auto& status : {from_yaml.status(), from_json.status()}) {
      MTP_HOLDS(absl::StrContains(input, kCanary) || !absl::StrContains(status.message(), kCanary));
    }
  }
}

}  // namespace mtp::fuzz
