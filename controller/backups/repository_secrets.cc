#include "controller/backups/repository_secrets.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <array>

#include "common/base/secret_string.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kRootKeyDigits = 64;
constexpr size_t kMaxKeyBytes = 4096;
constexpr size_t kMaxFileBytes = 64 << 10;

absl::Status Bad(absl::string_view field, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", rule));
}

absl::Status CheckRootKey(const std::string& key) {
  if (key.empty()) return absl::OkStatus();
  const bool hex = key.size() == kRootKeyDigits && std::all_of(key.begin(), key.end(), [](char c) {
                     return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                   });
  return hex ? absl::OkStatus()
             : Bad("root key", "must be 64 hexadecimal digits; leave it out to make a new one");
}

// One line.
absl::Status CheckKey(absl::string_view field, const std::string& key) {
  const bool line = key.size() <= kMaxKeyBytes && std::all_of(key.begin(), key.end(), [](char c) {
                      return absl::ascii_isgraph(static_cast<unsigned char>(c));
                    });
  return line ? absl::OkStatus()
              : Bad(field, "must be one line of at most 4096 printable characters without spaces");
}

// Some lines.
absl::Status CheckText(absl::string_view field, const std::string& text) {
  const bool lines =
      text.size() <= kMaxFileBytes && std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return !absl::ascii_iscntrl(byte) || absl::ascii_isspace(byte);
      });
  return lines ? absl::OkStatus() : Bad(field, "must be text of at most 64 KiB");
}

using Kind = RepositoryPlace::Kind;

struct Rule {
  const char* field;
  const std::string& (v1::RepositorySecrets::*value)() const;
  Kind kind;
  bool required;
  absl::Status (*check)(absl::string_view field, const std::string& value);
};

constexpr std::array<Rule, 5> kRules = {{
    {"S3 access key", &v1::RepositorySecrets::s3_access_key, Kind::kS3, true, CheckKey},
    {"S3 secret key", &v1::RepositorySecrets::s3_secret_key, Kind::kS3, true, CheckKey},
    {"SFTP private key", &v1::RepositorySecrets::sftp_private_key, Kind::kSftp, true, CheckText},
    {"SFTP known hosts", &v1::RepositorySecrets::sftp_known_hosts, Kind::kSftp, true, CheckText},
    {"CA certificates", &v1::RepositorySecrets::ca_certificates, Kind::kS3, false, CheckText},
}};

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kFolder:
      return "a local folder";
    case Kind::kSftp:
      return "sftp:";
    case Kind::kS3:
      return "s3:";
  }
  return "";
}

bool Agrees(const std::string& given, const std::string& held) {
  const SecretString secret(held);
  return secret.Equals(given) || given.empty();
}

}  // namespace

absl::Status CheckRepositorySecrets(const RepositoryPlace& place,
                                    const v1::RepositorySecrets& secrets) {
  MTP_RETURN_IF_ERROR(CheckRootKey(secrets.root_key()));
  for (const Rule& rule : kRules) {
    const std::string& value = (secrets.*rule.value)();
    if (rule.kind != place.kind()) {
      if (value.empty()) continue;
      return Bad(rule.field, absl::StrCat("is not for ", NameOf(place.kind()), "; leave it out"));
    }
    if (value.empty() && rule.required) {
      return Bad(rule.field, absl::StrCat("is needed for ", NameOf(place.kind())));
    }
    MTP_RETURN_IF_ERROR(rule.check(rule.field, value));
  }
  if (!secrets.ca_certificates().empty() && !place.tls()) {
    return Bad("CA certificates", "are only for s3:https:; leave them out");
  }
  return absl::OkStatus();
}

bool AgreesWith(const v1::RepositorySecrets& given, const v1::RepositorySecrets& held) {
  bool agrees = Agrees(absl::AsciiStrToLower(given.root_key()), held.root_key());
  for (const Rule& rule : kRules) {
    agrees = Agrees((given.*rule.value)(), (held.*rule.value)()) && agrees;
  }
  return agrees;
}

}  // namespace mtp
