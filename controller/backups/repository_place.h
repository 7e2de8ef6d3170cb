// Where a repository is, as people write it.
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

  // INVALID_ARGUMENT with the rule that was broken; the url itself is not repeated, since people
  // put passwords into urls. A closing slash is taken off. At most 512 bytes, no control
  // characters, no empty, `.` or `..` component.
  static absl::StatusOr<RepositoryPlace> Parse(absl::string_view url);

  Kind kind() const { return kind_; }
  // Whether the server shows a certificate.
  bool tls() const { return tls_; }
  const std::string& url() const { return url_; }

 private:
  RepositoryPlace(Kind kind, bool tls, std::string url)
      : kind_(kind), tls_(tls), url_(std::move(url)) {}

  Kind kind_;
  bool tls_;
  std::string url_;
};

}  // namespace mtp
