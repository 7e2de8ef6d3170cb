#include "common/restic/restic_command.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kUrlBytesMax = 1024;

bool OnlyOf(absl::string_view text, absl::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(extra, c);
  });
}

absl::Status BadUrl(absl::string_view sentence) {
  return absl::InvalidArgumentError(absl::StrCat("the repository's url ", sentence));
}

struct HostAndPort {
  std::string host;
  int port = 0;
};

// `host`, `host:port`, `[v6]`, `[v6]:port`.
absl::StatusOr<HostAndPort> ParseHost(absl::string_view text, int default_port) {
  HostAndPort parsed{.port = default_port};
  absl::string_view port;
  if (absl::ConsumePrefix(&text, "[")) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(text, absl::MaxSplits(']', 1));
    parsed.host = absl::StrCat("[", parts.first, "]");
    port = parts.second;
    if (!OnlyOf(parts.first, ":.") || parts.first.empty()) return BadUrl("has a malformed host");
  } else {
    const size_t colon = text.find(':');
    parsed.host = std::string(text.substr(0, colon));
    port = colon == absl::string_view::npos ? absl::string_view() : text.substr(colon);
    if (!OnlyOf(parsed.host, ".-") || parsed.host.empty() || parsed.host.front() == '-')
      return BadUrl("has a malformed host");
  }
  if (port.empty()) return parsed;
  if (port.front() != ':' || !absl::SimpleAtoi(port.substr(1), &parsed.port) || parsed.port < 1 ||
      parsed.port > 65535)
    return BadUrl("has a malformed port");
  return parsed;
}

absl::StatusOr<RepositoryAddress> ParseSftp(absl::string_view rest) {
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos || slash + 1 == rest.size())
    return BadUrl("needs an absolute path, as sftp://user@host/path");
  const absl::string_view path = rest.substr(slash);
  absl::string_view server = rest.substr(0, slash);
  const size_t at = server.find('@');
  if (at == absl::string_view::npos) return BadUrl("needs a user, as sftp://user@host/path");
  const absl::string_view user = server.substr(0, at);
  if (user.empty() || user.front() == '-' || !OnlyOf(user, "._-"))
    return BadUrl("has a malformed user");
  MTP_ASSIGN_OR_RETURN(const HostAndPort host, ParseHost(server.substr(at + 1), 22));
  RepositoryAddress address{.kind = RepositoryKind::kSftp,
                            .user = std::string(user),
                            .host = host.host,
                            .port = host.port};
  // To restic, a path after a single slash is relative to the user's home.
  address.restic_url = absl::StrCat("sftp://", user, "@", host.host, ":", host.port, "/", path);
  return address;
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         (absl::StartsWith(host, "127.") && OnlyOf(host, ".") &&
          std::none_of(host.begin(), host.end(), [](char c) { return absl::ascii_isalpha(c); }));
}

absl::StatusOr<RepositoryAddress> ParseS3(absl::string_view url) {
  absl::string_view rest = url;
  absl::ConsumePrefix(&rest, "s3:");
  const bool plain = absl::ConsumePrefix(&rest, "http://");
  if (!plain && !absl::ConsumePrefix(&rest, "https://"))
    return BadUrl("must be of the form s3:https://host/bucket");
  const size_t slash = rest.find('/');
  MTP_ASSIGN_OR_RETURN(const HostAndPort host, ParseHost(rest.substr(0, slash), plain ? 80 : 443));
  const absl::string_view path =
      slash == absl::string_view::npos ? absl::string_view() : rest.substr(slash + 1);
  const absl::string_view bucket = path.substr(0, path.find('/'));
  if (bucket.size() < 3 || bucket.size() > 63 || !OnlyOf(bucket, ".-"))
    return BadUrl("needs a bucket of 3 to 63 characters, as s3:https://host/bucket");
  if (!OnlyOf(path, "._-/")) return BadUrl("has a malformed prefix");
  if (plain && !IsLoopback(host.host))
    return BadUrl("is without TLS: plain http is only for this very machine; use s3:https://");
  return RepositoryAddress{.kind = RepositoryKind::kS3,
                           .restic_url = std::string(url),
                           .host = host.host,
                           .port = host.port};
}

}  // namespace

absl::StatusOr<RepositoryAddress> ParseRepositoryUrl(absl::string_view url) {
  if (url.size() > kUrlBytesMax) return BadUrl("is too long");
  if (std::any_of(url.begin(), url.end(), [](char c) { return absl::ascii_iscntrl(c); }))
    return BadUrl("has control characters");
  if (absl::StartsWith(url, "/") && url.size() > 1)
    return RepositoryAddress{.kind = RepositoryKind::kFolder, .restic_url = std::string(url)};
  if (absl::ConsumePrefix(&url, "sftp://")) return ParseSftp(url);
  if (absl::StartsWith(url, "s3:")) return ParseS3(url);
  return BadUrl("must be /absolute/folder, sftp://user@host/path or s3:https://host/bucket");
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
