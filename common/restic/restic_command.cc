#include "common/restic/restic_command.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/base/status.h"

namespace mtp {
namespace {

// With a tenant's name behind what people may write.
constexpr size_t kUrlBytesMax = 2 * RepositoryPlace::kMaxBytes;

bool OnlyOf(absl::string_view text, absl::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(extra, c);
  });
}

}  // namespace

absl::StatusOr<RepositoryAddress> ParseRepositoryUrl(absl::string_view url) {
  MTP_ASSIGN_OR_RETURN(const RepositoryPlace place, RepositoryPlace::Parse(url, kUrlBytesMax));
  RepositoryAddress address{.kind = place.kind(),
                            .restic_url = place.url(),
                            .user = place.user(),
                            .host = place.host(),
                            .port = place.port()};
  if (place.kind() == RepositoryKind::kSftp) {
    // To restic, a path after a single slash is relative to the user's home.
    address.restic_url = absl::StrCat("sftp://", place.user(), "@", place.host(), ":", place.port(),
                                      "/", place.path());
  }
  return address;
}

absl::Status CheckAccess(const RepositoryAccess& access) {
  MTP_ASSIGN_OR_RETURN(const RepositoryAddress address, ParseRepositoryUrl(access.url));
  if (access.password.empty())
    return absl::InvalidArgumentError("the repository needs a password to encrypt it");
  // restic reads the first line and trims it: such a password would silently be another one.
  const absl::string_view password = access.password.Reveal();
  if (absl::StripAsciiWhitespace(password) != password || absl::StrContains(password, '\n') ||
      absl::StrContains(password, '\r'))
    return absl::InvalidArgumentError(
        "the repository's password must be one line without blanks at its ends");
  switch (address.kind) {
    case RepositoryKind::kFolder:
      break;
    case RepositoryKind::kSftp:
      if (access.sftp_private_key.empty())
        return absl::InvalidArgumentError("an SFTP repository needs a private key");
      if (access.sftp_known_hosts.empty())
        return absl::InvalidArgumentError(
            "an SFTP repository needs the server's key as a line of known_hosts; "
            "`ssh-keyscan -p PORT HOST` shows it");
      break;
    case RepositoryKind::kS3:
      if (access.s3_access_key.empty() || access.s3_secret_key.empty())
        return absl::InvalidArgumentError("an S3 repository needs an access key and a secret key");
      break;
  }
  return absl::OkStatus();
}

absl::Status CheckIdentity(const BackupIdentity& identity) {
  for (const auto& [what, value] :
       {std::pair<absl::string_view, const std::string&>("fleet", identity.fleet),
        {"tenant", identity.tenant},
        {"id", identity.backup}}) {
    if (value.empty() || value.size() > 64 || !OnlyOf(value, "._-"))
      return absl::InvalidArgumentError(absl::StrCat(
          "a backup's ", what, " must be 1 to 64 letters, digits, dots, underscores or hyphens"));
  }
  return absl::OkStatus();
}

absl::Status CheckSnapshotId(absl::string_view id) {
  const bool good = id.size() == 64 && std::all_of(id.begin(), id.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  return good ? absl::OkStatus()
              : absl::InvalidArgumentError("a snapshot's id must be 64 hexadecimal digits");
}

std::string TagsOf(const BackupIdentity& identity) {
  std::vector<std::string> tags;
  if (!identity.fleet.empty()) tags.push_back("fleet=" + identity.fleet);
  if (!identity.tenant.empty()) tags.push_back("tenant=" + identity.tenant);
  if (!identity.backup.empty()) tags.push_back("backup=" + identity.backup);
  return absl::StrJoin(tags, ",");
}

std::vector<std::string> ResticArguments(const std::string& program,
                                         const RepositoryAddress& address,
                                         const RepositoryAccess& access, const CallFiles& files,
                                         bool use_cache) {
  std::vector<std::string> argv = {program,           "--json",    "--repo", address.restic_url,
                                   "--password-file", "/dev/stdin"};
  if (use_cache && address.kind != RepositoryKind::kFolder) {
    argv.insert(argv.end(), {"--cache-dir", files.cache_folder, "--cleanup-cache"});
  } else {
    argv.push_back("--no-cache");
  }
  if (address.kind == RepositoryKind::kSftp) {
    absl::string_view host = address.host;
    if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
    argv.insert(
        argv.end(),
        {"--option",
         absl::StrCat("sftp.command=ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes",
                      " -o UserKnownHostsFile=", files.KnownHosts(),
                      " -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o IdentityFile=",
                      files.PrivateKey(),
                      " -o IdentityAgent=none -o ConnectTimeout=15 -o ServerAliveInterval=15",
                      " -o ServerAliveCountMax=4 -p ", address.port, " -l ", address.user, " ",
                      host, " -s sftp")});
  }
  if (!access.ca_certificates.empty()) argv.insert(argv.end(), {"--cacert", files.Certificates()});
  return argv;
}

std::map<std::string, std::string> ResticEnvironment(const RepositoryAddress& address,
                                                     const RepositoryAccess& access,
                                                     const CallFiles& files) {
  // restic finds ssh by PATH, keeps its half-made packs in TMPDIR, reads `--time` in TZ, and tells
  // of its progress sixty times a second unless it is told otherwise.
  std::map<std::string, std::string> env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                            {"HOME", files.folder},
                                            {"TMPDIR", files.folder},
                                            {"TZ", "UTC"},
                                            {"RESTIC_PROGRESS_FPS", "1"},
                                            {"LC_ALL", "C"}};
  if (address.kind == RepositoryKind::kS3) {
    env["AWS_ACCESS_KEY_ID"] = access.s3_access_key;
    env["AWS_SECRET_ACCESS_KEY"] = std::string(access.s3_secret_key.Reveal());
  }
  return env;
}

}  // namespace mtp
