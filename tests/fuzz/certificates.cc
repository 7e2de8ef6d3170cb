// Certificates, and requests for them, of whoever knocks. An input is PEM, or the DER within.
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/tls/identity.h"
#include "common/tls/keys.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

struct TestAuthority {
  SecretString key = tls::NewPrivateKey().value();
  std::string pem = tls::NewAuthority(key, "fleet1", absl::UnixEpoch(), Ending()).value();

  static absl::Time Ending() { return absl::FromUnixSeconds(4'000'000'000); }
};

const TestAuthority& Authority() {
  static const TestAuthority authority;
  return authority;
}

std::string AsPem(absl::string_view input, const char* what) {
  if (absl::StartsWith(input, "-----")) return std::string(input);
  std::string base64;
  absl::Base64Escape(input, &base64);
  std::string pem = absl::StrCat("-----BEGIN ", what, "-----\n");
  for (size_t at = 0; at < base64.size(); at += 64) {
    absl::StrAppend(&pem, base64.substr(at, 64), "\n");
  }
  return absl::StrCat(pem, "-----END ", what, "-----\n");
}

bool IsHex(absl::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

}  // namespace

void Certificates(absl::string_view input) {
  const auto facts = tls::ReadCertificate(AsPem(input, "CERTIFICATE"));
  if (!facts.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(facts.status()) || absl::IsInternal(facts.status()));
    return;
  }
  MTP_HOLDS(facts->fingerprint.size() == 64 && IsHex(facts->fingerprint));
  MTP_HOLDS(!facts->serial.empty());
  const tls::Identity& identity = facts->identity;
  if (identity.kind == tls::Identity::Kind::kAnonymous) {
    MTP_HOLDS(identity.Uri().empty() && identity.fleet.empty() && identity.name.empty());
  } else {
    MTP_HOLDS(Gives(tls::Identity::ParseUri(identity.Uri()), identity));
  }
}

void CertificateRequests(absl::string_view input) {
  const std::string pem = AsPem(input, "CERTIFICATE REQUEST");
  const auto fingerprint = tls::RequestKeyFingerprint(pem);
  const tls::Identity agent{tls::Identity::Kind::kAgent, "fleet1", "h1"};
  const auto issued = tls::Issue(pem, {agent, absl::UnixEpoch(), TestAuthority::Ending()},
                                 Authority().pem, Authority().key);
  MTP_HOLDS(issued.ok() == fingerprint.ok());
  if (!issued.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(issued.status()));
    return;
  }
  MTP_HOLDS(fingerprint->size() == 64 && IsHex(*fingerprint));
  // Whatever the request says of itself.
  const auto facts = tls::ReadCertificate(issued->pem);
  MTP_HOLDS(facts.ok() && facts->identity == agent && facts->serial == issued->serial);
  MTP_HOLDS(facts->not_after == TestAuthority::Ending());
}

}  // namespace mtp::fuzz
