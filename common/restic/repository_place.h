// Where a repository is, as people write it: the one grammar of its url.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp {

// A checked url of a repository: `/absolute/folder`, `sftp://user@host[:port]/absolute/path`,
// `s3:https://host[:port]/bucket[/prefix]`, or `s3:http://` towards this very machine.
class RepositoryPlace {
 public:
  enum class Kind { kFolder, kSftp, kS3 };

  // Of a repository that people name; a tenant's part of it has the tenant's name behind.
  static constexpr size_t kMaxBytes = 512;

  // INVALID_ARGUMENT with the rule that was broken; the url itself is not repeated, since people
  // put passwords into urls. A closing slash is taken off. At most `max_bytes`, no control
  // characters, no empty, `.` or `..` component.
  static absl::StatusOr<RepositoryPlace> Parse(absl::string_view url, size_t max_bytes = kMaxBytes);

  Kind kind() const { return kind_; }
  // Whether the server shows a certificate.
  bool tls() const { return tls_; }
  const std::string& url() const { return url_; }

  // Of a server; an IPv6 address is in brackets. The port is the kind's own when the url has none.
  const std::string& host() const { return host_; }
  int port() const { return port_; }
  // Of SFTP: the user, and the absolute path on the server.
  const std::string& user() const { return user_; }
  const std::string& path() const { return path_; }

 private:
  RepositoryPlace(Kind kind, std::string url) : kind_(kind), url_(std::move(url)) {}
  absl::Status ParseServer(absl::string_view text, int default_port);
  absl::Status ParseSftp(absl::string_view rest);
  absl::Status ParseS3(absl::string_view rest);

  Kind kind_;
  std::string url_;
  bool tls_ = false;
  std::string host_;
  int port_ = 0;
  std::string user_;
  std::string path_;
};

}  // namespace mtp
