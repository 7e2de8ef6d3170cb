// The fleet's certificate authority.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/secret_box.h"
#include "common/base/secret_string.h"
#include "common/tls/identity.h"
#include "common/tls/keys.h"

namespace mtp {

// Certificates begin 10 minutes in the past, for machines whose clocks lag.
inline constexpr absl::Duration kBackdate = absl::Minutes(10);
inline constexpr absl::Duration kAuthorityLifetime = absl::Hours(24 * 3650);
inline constexpr absl::Duration kCertificateLifetime = absl::Hours(24 * 365);

// Thread-safe. Files in `folder`: `ca.pem`, and `ca-key.sealed`, which opens only with the master
// key.
class Authority {
 public:
  // Reads the authority, or makes one for `fleet` when the folder has none.
  static absl::StatusOr<Authority> OpenOrCreate(const std::string& folder, const std::string& fleet,
                                                const SecretBox& box, const Clock& clock);
  // NOT_FOUND when the folder has none.
  static absl::StatusOr<Authority> Open(const std::string& folder, const std::string& fleet,
                                        const SecretBox& box);

  // INVALID_ARGUMENT for a bad request.
  absl::StatusOr<tls::IssuedCertificate> Issue(absl::string_view request_pem,
                                               const tls::Identity& identity, absl::Time now) const;
  // Makes key and certificate of `identity` in `folder`, unless a certificate of it is there that
  // is not due to be renewed (common/tls/renewal.h). Returns the serial of the one in use. In a
  // folder that is served from, too: see tls::WriteIdentity.
  absl::StatusOr<std::string> EnsureIdentity(const std::string& folder,
                                             const tls::Identity& identity, absl::Time now) const;

  const std::string& pem() const { return pem_; }
  const std::string& fleet() const { return fleet_; }
  // SHA-256 of the certificate in DER, hexadecimal.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  Authority() = default;
  std::string fleet_;
  std::string pem_;
  std::string fingerprint_;
  SecretString key_;
};

}  // namespace mtp
