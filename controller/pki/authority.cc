#include "controller/pki/authority.h"

#include <absl/strings/str_cat.h>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "common/tls/renewal.h"

namespace mtp {
namespace {

constexpr char kKeyContext[] = "pki/ca-key";
constexpr size_t kMaxFileBytes = 64 << 10;

}  // namespace

absl::StatusOr<Authority> Authority::Open(const std::string& folder, const std::string& fleet,
                                          const SecretBox& box) {
  Authority authority;
  authority.fleet_ = fleet;
  MTP_ASSIGN_OR_RETURN(authority.pem_, ReadFile(folder + "/ca.pem", kMaxFileBytes));
  MTP_ASSIGN_OR_RETURN(const std::string sealed,
                       ReadFile(folder + "/ca-key.sealed", kMaxFileBytes));
  auto key = box.Open(sealed, kKeyContext);
  if (!key.ok()) return Annotate(key.status(), "the authority's key");
  authority.key_ = *std::move(key);
  MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts facts, tls::ReadCertificate(authority.pem_));
  authority.fingerprint_ = facts.fingerprint;
  return authority;
}

absl::StatusOr<Authority> Authority::OpenOrCreate(const std::string& folder,
                                                  const std::string& fleet, const SecretBox& box,
                                                  const Clock& clock) {
  auto existing = Open(folder, fleet, box);
  if (existing.ok() || !absl::IsNotFound(existing.status())) return existing;
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
  MTP_ASSIGN_OR_RETURN(const std::string pem, tls::NewAuthority(key, fleet, clock.Now() - kBackdate,
                                                                clock.Now() + kAuthorityLifetime));
  // The key first: an authority whose certificate is there is whole.
  MTP_RETURN_IF_ERROR(
      WriteFileAtomically(folder + "/ca-key.sealed", box.Seal(key.Reveal(), kKeyContext), 0600));
  MTP_RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca.pem", pem, 0644));
  return Open(folder, fleet, box);
}

absl::StatusOr<tls::IssuedCertificate> Authority::Issue(absl::string_view request_pem,
                                                        const tls::Identity& identity,
                                                        absl::Time now) const {
  return tls::Issue(request_pem, {identity, now - kBackdate, now + kCertificateLifetime}, pem_,
                    key_);
}

absl::StatusOr<std::string> Authority::EnsureIdentity(const std::string& folder,
                                                      const tls::Identity& identity,
                                                      absl::Time now) const {
  const auto present = tls::ReadIdentity(folder);
  if (present.ok() && present->facts.identity == identity &&
      now < tls::RenewalTime(present->facts.not_before, present->facts.not_after, identity.Uri())) {
    // It is good either way; a full disk must not keep the controller from starting.
    tls::SettleIdentity(folder).IgnoreError();
    return present->facts.serial;
  }
  MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
  MTP_ASSIGN_OR_RETURN(const std::string request, tls::NewRequest(key, identity.ToString()));
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued, Issue(request, identity, now));
  MTP_RETURN_IF_ERROR(tls::WriteIdentity(folder, key, issued.pem, pem_));
  return issued.serial;
}

}  // namespace mtp
