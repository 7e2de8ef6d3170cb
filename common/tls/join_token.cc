#include "common/tls/join_token.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <vector>

#include "common/base/names.h"
#include "common/tls/keys.h"

namespace mtp::tls {
namespace {

constexpr char kPrefix[] = "mtpj1_";
constexpr size_t kMaxBytes = 4096;
constexpr size_t kFingerprintDigits = 64;

std::string Checksum(absl::string_view body) { return Sha256Hex(body).substr(0, 8); }

}  // namespace

SecretString EncodeJoinToken(const JoinToken& token) {
  const std::string body =
      absl::StrCat(token.id, "\n", token.host, "\n", token.address, "\n",
                   token.authority_fingerprint, "\n", std::string(token.secret.Reveal()));
  return SecretString(kPrefix +
                      absl::WebSafeBase64Escape(absl::StrCat(body, "\n", Checksum(body))));
}

absl::StatusOr<JoinToken> DecodeJoinToken(absl::string_view text) {
  const absl::Status malformed = absl::InvalidArgumentError(
      "this is not a whole join token; copy all of what `mtp-cli host token` printed, or make a "
      "new one");
  text = absl::StripAsciiWhitespace(text);
  if (text.size() > kMaxBytes || !absl::ConsumePrefix(&text, kPrefix)) return malformed;
  std::string decoded;
  if (!absl::WebSafeBase64Unescape(text, &decoded)) return malformed;
  std::vector<std::string> parts = absl::StrSplit(decoded, '\n');
  WipeString(&decoded);
  if (parts.size() != 6) return malformed;
  if (Checksum(absl::StrJoin(parts.begin(), parts.end() - 1, "\n")) != parts[5]) return malformed;
  if (!HostName::Parse(parts[1]).ok() || parts[3].size() != kFingerprintDigits) return malformed;
  return JoinToken{parts[0], parts[1], parts[2], parts[3], SecretString(std::move(parts[4]))};
}

}  // namespace mtp::tls
