#include "agent/trust/trust.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/tls/keys.h"

namespace mtp {
namespace {

constexpr size_t kMaxCertificateBytes = 16 << 10;
constexpr size_t kMaxAuthoritiesBytes = 64 << 10;

// Empty, which is no key, when there is no such file.
absl::StatusOr<SecretString> ReadKey(const std::string& path) {
  auto text = ReadFile(path, kMaxCertificateBytes);
  if (absl::IsNotFound(text.status())) return SecretString();
  if (!text.ok()) return text.status();
  return SecretString(*std::move(text));
}

}  // namespace

absl::StatusOr<v1::HostTrust> Trust::Replace(const v1::ReplaceTrustRequest& request) {
  if (request.certificate_pem().size() > kMaxCertificateBytes ||
      request.ca_pem().size() > kMaxAuthoritiesBytes) {
    return absl::InvalidArgumentError(
        "the certificate is larger than 16 KiB, or the authorities than 64 KiB");
  }
  absl::MutexLock lock(&mutex_);
  MTP_ASSIGN_OR_RETURN(tls::StoredIdentity present, tls::ReadIdentity(folder_));
  MTP_ASSIGN_OR_RETURN(std::string authorities,
                       ReadFile(tls::IdentityFolder(folder_).authority, kMaxAuthoritiesBytes));
  if (!request.certificate_pem().empty() || !request.ca_pem().empty()) {
    if (!request.ca_pem().empty()) authorities = request.ca_pem();
    MTP_RETURN_IF_ERROR(Place(request, present, authorities));
    MTP_ASSIGN_OR_RETURN(present, tls::ReadIdentity(folder_));
  }
  v1::HostTrust trust;
  trust.set_certificate_serial(present.facts.serial);
  *trust.mutable_certificate_expire_time() = ToTimestamp(present.facts.not_after);
  trust.set_ca_sha256(tls::Sha256Hex(authorities));
  if (request.wants_request()) {
    MTP_ASSIGN_OR_RETURN(const SecretString key, NextKey(present.facts));
    MTP_ASSIGN_OR_RETURN(*trust.mutable_csr_pem(), tls::NewRequest(key, self_.ToString()));
  }
  return trust;
}

absl::Status Trust::Place(const v1::ReplaceTrustRequest& request,
                          const tls::StoredIdentity& present, const std::string& authorities) {
  const bool keeps = request.certificate_pem().empty();
  const std::string& pem = keeps ? present.chain_pem : request.certificate_pem();
  MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts next, tls::ReadCertificate(pem));
  if (next.identity != self_) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate is for ", next.identity.Uri(), ", this is ", self_.Uri()));
  }
  MTP_RETURN_IF_ERROR(tls::CheckIssuer(pem, authorities));
  SecretString key = present.key.Clone();
  if (next.key != present.facts.key) {
    MTP_ASSIGN_OR_RETURN(key, KeyFor(next));
  }
  // The certificate alone: the chain is made of the authorities that are trusted now.
  MTP_ASSIGN_OR_RETURN(const std::string alone, tls::FirstCertificate(pem));
  MTP_RETURN_IF_ERROR(tls::WriteIdentity(folder_, key, alone, authorities));
  if (next.serial == present.facts.serial) return absl::OkStatus();
  log_.Info(absl::StrCat("this host has a new certificate, good until ",
                         absl::FormatTime(next.not_after, absl::UTCTimeZone())));
  // What stays of it after a crash is found to be the present key, and made anew when it is needed.
  unlink(NextKeyPath().c_str());
  return absl::OkStatus();
}

absl::StatusOr<SecretString> Trust::KeyFor(const tls::CertificateFacts& next) const {
  MTP_ASSIGN_OR_RETURN(SecretString key, ReadKey(NextKeyPath()));
  const auto fingerprint = tls::KeyFingerprint(key);
  if (fingerprint.ok() && *fingerprint == next.key) return key;
  return absl::FailedPreconditionError(
      "the certificate is for a key that this host does not have (any more)");
}

absl::StatusOr<SecretString> Trust::NextKey(const tls::CertificateFacts& present) {
  MTP_ASSIGN_OR_RETURN(SecretString key, ReadKey(NextKeyPath()));
  const auto fingerprint = tls::KeyFingerprint(key);
  if (fingerprint.ok() && *fingerprint != present.key) return key;
  MTP_ASSIGN_OR_RETURN(key, tls::NewPrivateKey());
  MTP_RETURN_IF_ERROR(WriteFileAtomically(NextKeyPath(), key.Reveal(), 0600));
  return key;
}

}  // namespace mtp
