// The fleet's certificate authority.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/secret_box.h"
#include "common/base/secret_string.h"
#include "common/kv/store.h"
#include "common/tls/identity.h"
#include "common/tls/keys.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Certificates begin 10 minutes in the past, for machines whose clocks lag.
inline constexpr absl::Duration kBackdate = absl::Minutes(10);
inline constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 3650);
inline constexpr absl::Duration kCertificateLifetime = absl::Hours(24 * 365);

// Key of AuthoritiesRecord.
inline constexpr char kAuthoritiesKey[] = "/meta/authorities";

// The authorities as of one moment: one, and two while it is rotated. A value.
class TrustedAuthorities {
 public:
  struct Member {
    std::string pem;
    std::string fingerprint;  // SHA-256 of the certificate in DER, hexadecimal
    std::shared_ptr<const SecretString> key;
  };

  // All that are trusted, oldest first.
  std::vector<Member> members;
  size_t issuing = 0;
  size_t serving = 0;
  std::string fleet;
  // Of the record, for compares; 0 when there is none.
  int64_t revision = 0;

  const Member& issuer() const { return members[issuing]; }
  const Member& server() const { return members[serving]; }
  // The PEM of all, the issuing one first: what everyone is to trust.
  std::string Bundle() const;
  // INVALID_ARGUMENT for a bad request.
  absl::StatusOr<tls::IssuedCertificate> Issue(absl::string_view request_pem,
                                               const tls::Identity& identity, absl::Time now) const;
};

// Thread-safe. Files in `folder`: `ca.pem`, and `ca-key.sealed`, which opens only with the master
// key. They are the first authority; once it was rotated, what is in the store counts.
class Authority {
 public:
  // Reads the authority, or makes one for `fleet` when the folder has none.
  static absl::StatusOr<Authority> OpenOrCreate(const std::string& folder, const std::string& fleet,
                                                const SecretBox& box, const Clock& clock);
  // NOT_FOUND when the folder has none.
  static absl::StatusOr<Authority> Open(const std::string& folder, const std::string& fleet,
                                        const SecretBox& box);

  // From here on the store's record counts, when there is one. Before any other thread; both must
  // outlive it.
  void Follow(const kv::Store* store, const SecretBox* box);

  // DATA_LOSS or FAILED_PRECONDITION when the record, or a key in it, cannot be read.
  absl::StatusOr<TrustedAuthorities> Now() const;
  // INVALID_ARGUMENT for a bad request; else as Now.
  absl::StatusOr<tls::IssuedCertificate> Issue(absl::string_view request_pem,
                                               const tls::Identity& identity, absl::Time now) const;
  // Makes key and certificate of `identity` in `folder`, of the serving authority and with all that
  // are trusted, unless such a certificate is there that is not due to be renewed
  // (common/tls/renewal.h). Returns the serial of the one in use. In a folder that is served from,
  // too: see tls::WriteIdentity.
  absl::StatusOr<std::string> EnsureIdentity(const std::string& folder,
                                             const tls::Identity& identity, absl::Time now) const;

  // Of the files.
  const std::string& pem() const { return pem_; }
  const std::string& fleet() const { return fleet_; }
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  Authority() = default;
  std::string fleet_;
  std::string pem_;
  std::string fingerprint_;
  std::shared_ptr<const SecretString> key_;
  const kv::Store* store_ = nullptr;
  const SecretBox* box_ = nullptr;
};

// The record of authorities, with the keys sealed.
state::v1::AuthoritiesRecord ToRecord(const TrustedAuthorities& authorities, const SecretBox& box);
// A new authority of the fleet.
absl::StatusOr<TrustedAuthorities::Member> NewMember(const std::string& fleet, absl::Time now);

}  // namespace mtp
