#include "common/restic/repository_place.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <vector>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr int kSftpPort = 22;
constexpr int kHttpPort = 80;
constexpr int kHttpsPort = 443;
constexpr size_t kMinBucketBytes = 3;
constexpr size_t kMaxBucketBytes = 63;

absl::Status Bad(absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("the repository's url ", rule));
}

bool OnlyOf(absl::string_view text, absl::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(extra, c);
  });
}

// Labels of letters, digits and hyphens: no word that a program takes for an option, a path or a
// folder above.
bool IsHostName(absl::string_view host) {
  const std::vector<absl::string_view> labels = absl::StrSplit(host, '.');
  return std::all_of(labels.begin(), labels.end(), [](absl::string_view label) {
    return !label.empty() && label.front() != '-' && OnlyOf(label, "-");
  });
}

// The components after the leading slash.
absl::Status CheckPath(absl::string_view path) {
  for (const absl::string_view part : absl::StrSplit(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") {
      return Bad("must not have an empty, `.` or `..` component");
    }
  }
  return absl::OkStatus();
}

bool IsThisMachine(absl::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         (absl::StartsWith(host, "127.") && std::all_of(host.begin(), host.end(), [](char c) {
            return absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '.';
          }));
}

}  // namespace

// `host`, `host:port`, `[v6]`, `[v6]:port`.
absl::Status RepositoryPlace::ParseServer(absl::string_view text, int default_port) {
  absl::string_view host = text.substr(0, text.find(':'));
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos || end == 1 || !OnlyOf(text.substr(1, end - 1), ":.")) {
      return Bad("has a malformed host");
    }
    host = text.substr(0, end + 1);
  } else if (!IsHostName(host)) {
    return Bad("has a malformed host");
  }
  host_ = std::string(host);
  port_ = default_port;
  absl::string_view port = text.substr(host.size());
  if (!port.empty() && (!absl::ConsumePrefix(&port, ":") || !OnlyOf(port, "") ||
                        !absl::SimpleAtoi(port, &port_) || port_ < 1 || port_ > 65535)) {
    return Bad("has a malformed port");
  }
  return absl::OkStatus();
}

absl::Status RepositoryPlace::ParseSftp(absl::string_view rest) {
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) {
    return Bad("needs an absolute path, as sftp://user@host/path");
  }
  const absl::string_view server = rest.substr(0, slash);
  const size_t at = server.find('@');
  if (at == absl::string_view::npos) return Bad("needs a user, as sftp://user@host/path");
  user_ = std::string(server.substr(0, at));
  if (user_.empty() || user_.front() == '-' || !OnlyOf(user_, "._-")) {
    return Bad("has a malformed user; letters, digits, '.', '_', '-', and no password");
  }
  MTP_RETURN_IF_ERROR(ParseServer(server.substr(at + 1), kSftpPort));
  path_ = std::string(rest.substr(slash));
  if (!OnlyOf(path_, "/._-+@=~,")) {
    return Bad("has a path with other characters than letters, digits and / . _ - + @ = ~ ,");
  }
  return CheckPath(path_);
}

absl::Status RepositoryPlace::ParseS3(absl::string_view rest) {
  const size_t slash = rest.find('/');
  MTP_RETURN_IF_ERROR(ParseServer(rest.substr(0, slash), tls_ ? kHttpsPort : kHttpPort));
  const absl::string_view path =
      slash == absl::string_view::npos ? absl::string_view() : rest.substr(slash);
  const absl::string_view bucket = path.empty() ? path : path.substr(1, path.find('/', 1) - 1);
  if (bucket.size() < kMinBucketBytes || bucket.size() > kMaxBucketBytes || !OnlyOf(bucket, ".-")) {
    return Bad("needs a bucket of 3 to 63 characters, as s3:https://host/bucket");
  }
  if (!OnlyOf(path, "/._-")) {
    return Bad("has a prefix with other characters than letters, digits and / . _ -");
  }
  if (!tls_ && !IsThisMachine(host_)) {
    return Bad("is without TLS: plain http is only for this very machine; use s3:https://");
  }
  return CheckPath(path);
}

absl::StatusOr<RepositoryPlace> RepositoryPlace::Parse(absl::string_view url, size_t max_bytes) {
  if (url.size() > max_bytes) return Bad(absl::StrCat("is longer than ", max_bytes, " bytes"));
  const bool plain = std::none_of(url.begin(), url.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
  if (!plain) return Bad("must not have control characters");
  absl::ConsumeSuffix(&url, "/");
  absl::string_view rest = url;
  if (absl::StartsWith(url, "/")) {
    MTP_RETURN_IF_ERROR(CheckPath(url));
    return RepositoryPlace(Kind::kFolder, std::string(url));
  }
  if (absl::ConsumePrefix(&rest, "sftp://")) {
    RepositoryPlace place(Kind::kSftp, std::string(url));
    MTP_RETURN_IF_ERROR(place.ParseSftp(rest));
    return place;
  }
  RepositoryPlace place(Kind::kS3, std::string(url));
  place.tls_ = absl::ConsumePrefix(&rest, "s3:https://");
  if (place.tls_ || absl::ConsumePrefix(&rest, "s3:http://")) {
    MTP_RETURN_IF_ERROR(place.ParseS3(rest));
    return place;
  }
  return Bad(
      "must be /absolute/folder, sftp://user@host/absolute/path or s3:https://host/bucket/prefix");
}

}  // namespace mtp
