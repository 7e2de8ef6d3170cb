#include "controller/recovery/kit.h"

#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/restic/repository_place.h"
#include "controller/backups/repository_secrets.h"

namespace mtp {
namespace {

std::string Text(const YAML::Node& row, const char* name) {
  const YAML::Node value = row[name];
  std::string text = value ? value.as<std::string>() : "";
  if (ValidUtf8(text, text.size()) == text) return text;
  throw YAML::RepresentationException(value.Mark(), "it is not UTF-8 text");
}

absl::StatusOr<v1::RecoveryKit::Entry> ReadEntry(const YAML::Node& row) {
  v1::RecoveryKit::Entry entry;
  const std::string name = Text(row, "name");
  entry.mutable_repository()->set_name("repositories/" + name);
  const auto place = RepositoryPlace::Parse(Text(row, "url"));
  if (!place.ok()) return Annotate(place.status(), absl::StrCat("repository ", name));
  entry.mutable_repository()->set_url(place->url());
  v1::RepositorySecrets& secrets = *entry.mutable_secrets();
  secrets.set_root_key(Text(row, "root_key"));
  secrets.set_s3_access_key(Text(row, "s3_access_key"));
  secrets.set_s3_secret_key(Text(row, "s3_secret_key"));
  secrets.set_sftp_private_key(Text(row, "sftp_private_key"));
  secrets.set_sftp_known_hosts(Text(row, "sftp_known_hosts"));
  secrets.set_ca_certificates(Text(row, "ca_certificates"));
  if (secrets.root_key().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("repository ", name, " has no root_key"));
  }
  MTP_RETURN_IF_ERROR(
      Annotate(CheckRepositorySecrets(*place, secrets), absl::StrCat("repository ", name)));
  return entry;
}

}  // namespace

absl::StatusOr<v1::RecoveryKit> ParseKit(const std::string& text) {
  v1::RecoveryKit kit;
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap() || !root["repositories"] || !root["repositories"].IsSequence()) {
      return absl::InvalidArgumentError(
          "it is not what `mtp-cli recovery-kit --out FILE` has written");
    }
    kit.set_fleet(Text(root, "fleet"));
    for (const YAML::Node& row : root["repositories"]) {
      MTP_ASSIGN_OR_RETURN(*kit.add_repositories(), ReadEntry(row));
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", error.mark.line + 1, " cannot be read: ", error.msg));
  }
  MTP_RETURN_IF_ERROR(Annotate(HostName::Parse(kit.fleet()).status(), "fleet"));
  if (kit.repositories().empty()) {
    return absl::InvalidArgumentError(
        "it names no repository: it was written before `mtp-cli repository add`");
  }
  return kit;
}

}  // namespace mtp
