#include "controller/pki/authority.h"

#include <absl/strings/str_cat.h>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "common/tls/renewal.h"

namespace mtp {
namespace {

using Member = TrustedAuthorities::Member;

constexpr char kKeyContext[] = "pki/ca-key";
constexpr size_t kMaxFileBytes = 64 << 10;

std::string KeyContext(const std::string& fingerprint) {
  return absl::StrCat(kAuthoritiesKey, "/", fingerprint);
}

absl::StatusOr<Member> OpenMember(const state::v1::AuthoritiesRecord::Authority& sealed,
                                  const SecretBox& box) {
  Member member;
  member.pem = sealed.certificate_pem();
  MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts facts, tls::ReadCertificate(member.pem));
  member.fingerprint = facts.fingerprint;
  auto key = box.Open(sealed.sealed_key(), KeyContext(member.fingerprint));
  if (!key.ok()) return Annotate(key.status(), "the authority's key");
  member.key = std::make_shared<const SecretString>(*std::move(key));
  return member;
}

}  // namespace

std::string TrustedAuthorities::Bundle() const {
  std::string bundle = issuer().pem;
  for (size_t i = 0; i < members.size(); ++i) {
    if (i != issuing) bundle += members[i].pem;
  }
  return bundle;
}

absl::StatusOr<tls::IssuedCertificate> TrustedAuthorities::Issue(absl::string_view request_pem,
                                                                 const tls::Identity& identity,
                                                                 absl::Time now) const {
  return tls::Issue(request_pem, {identity, now - kBackdate, now + kCertificateLifetime},
                    issuer().pem, *issuer().key);
}

absl::StatusOr<Authority> Authority::Open(const std::string& folder, const std::string& fleet,
                                          const SecretBox& box) {
  Authority authority;
  authority.fleet_ = fleet;
  MTP_ASSIGN_OR_RETURN(authority.pem_, ReadFile(folder + "/ca.pem", kMaxFileBytes));
  MTP_ASSIGN_OR_RETURN(const std::string sealed,
                       ReadFile(folder + "/ca-key.sealed", kMaxFileBytes));
  auto key = box.Open(sealed, kKeyContext);
  if (!key.ok()) return Annotate(key.status(), "the authority's key");
  authority.key_ = std::make_shared<const SecretString>(*std::move(key));
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
  MTP_ASSIGN_OR_RETURN(const Member made, NewMember(fleet, clock.Now()));
  // The key first: an authority whose certificate is there is whole.
  MTP_RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca-key.sealed",
                                          box.Seal(made.key->Reveal(), kKeyContext), 0600));
  MTP_RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca.pem", made.pem, 0644));
  return Open(folder, fleet, box);
}

void Authority::Follow(const kv::Store* store, const SecretBox* box) {
  store_ = store;
  box_ = box;
}

absl::StatusOr<TrustedAuthorities> Authority::Now() const {
  TrustedAuthorities now;
  now.fleet = fleet_;
  const auto entry = store_ == nullptr ? absl::NotFoundError("") : store_->Get(kAuthoritiesKey);
  if (absl::IsNotFound(entry.status())) {
    now.members.push_back({pem_, fingerprint_, key_});
    return now;
  }
  if (!entry.ok()) return entry.status();
  state::v1::AuthoritiesRecord record;
  const auto in_range = [&](int place) { return place >= 0 && place < record.authorities_size(); };
  if (!record.ParseFromString(entry->value) || !in_range(record.issuing()) ||
      !in_range(record.serving())) {
    return absl::DataLossError("the record of the fleet's authorities cannot be read");
  }
  for (const auto& sealed : record.authorities()) {
    MTP_ASSIGN_OR_RETURN(Member member, OpenMember(sealed, *box_));
    now.members.push_back(std::move(member));
  }
  now.issuing = static_cast<size_t>(record.issuing());
  now.serving = static_cast<size_t>(record.serving());
  now.revision = entry->mod_revision;
  return now;
}

absl::StatusOr<tls::IssuedCertificate> Authority::Issue(absl::string_view request_pem,
                                                        const tls::Identity& identity,
                                                        absl::Time now) const {
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, Now());
  return authorities.Issue(request_pem, identity, now);
}

absl::StatusOr<std::string> Authority::EnsureIdentity(const std::string& folder,
                                                      const tls::Identity& identity,
                                                      absl::Time now) const {
  MTP_ASSIGN_OR_RETURN(TrustedAuthorities authorities, Now());
  const std::string bundle = authorities.Bundle();
  authorities.issuing = authorities.serving;
  const auto present = tls::ReadIdentity(folder);
  if (present.ok() && present->facts.identity == identity &&
      tls::CheckIssuer(present->chain_pem, authorities.server().pem).ok() &&
      now < tls::RenewalTime(present->facts.not_before, present->facts.not_after, identity.Uri())) {
    const auto trusted = ReadFile(tls::IdentityFolder(folder).authority, kMaxFileBytes);
    if (!trusted.ok() || *trusted != bundle) {
      MTP_ASSIGN_OR_RETURN(const std::string alone, tls::FirstCertificate(present->chain_pem));
      MTP_RETURN_IF_ERROR(tls::WriteIdentity(folder, present->key, alone, bundle));
    }
    // It is good either way; a full disk must not keep the controller from starting.
    tls::SettleIdentity(folder).IgnoreError();
    return present->facts.serial;
  }
  MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
  MTP_ASSIGN_OR_RETURN(const std::string request, tls::NewRequest(key, identity.ToString()));
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued,
                       authorities.Issue(request, identity, now));
  MTP_RETURN_IF_ERROR(tls::WriteIdentity(folder, key, issued.pem, bundle));
  return issued.serial;
}

state::v1::AuthoritiesRecord ToRecord(const TrustedAuthorities& authorities, const SecretBox& box) {
  state::v1::AuthoritiesRecord record;
  for (const Member& member : authorities.members) {
    auto& sealed = *record.add_authorities();
    sealed.set_certificate_pem(member.pem);
    sealed.set_sealed_key(box.Seal(member.key->Reveal(), KeyContext(member.fingerprint)));
  }
  record.set_issuing(static_cast<int>(authorities.issuing));
  record.set_serving(static_cast<int>(authorities.serving));
  return record;
}

absl::StatusOr<Member> NewMember(const std::string& fleet, absl::Time now) {
  Member member;
  MTP_ASSIGN_OR_RETURN(SecretString key, tls::NewPrivateKey());
  MTP_ASSIGN_OR_RETURN(member.pem,
                       tls::NewAuthority(key, fleet, now - kBackdate, now + kAuthorityLifetime));
  MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts facts, tls::ReadCertificate(member.pem));
  member.fingerprint = facts.fingerprint;
  member.key = std::make_shared<const SecretString>(std::move(key));
  return member;
}

}  // namespace mtp
