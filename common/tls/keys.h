// Keys, certificate requests and certificates: ECDSA P-256 and nothing else.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <string>

#include "common/base/secret_string.h"
#include "common/tls/identity.h"

namespace mtp::tls {

// A new private key as PKCS#8 PEM.
absl::StatusOr<SecretString> NewPrivateKey();

// A PKCS#10 request for the key, PEM. `common_name` is for people who look at it; issuers ignore
// it.
absl::StatusOr<std::string> NewRequest(const SecretString& private_key,
                                       absl::string_view common_name);

// What an issuer puts into a certificate.
struct CertificateSpec {
  Identity identity;
  absl::Time not_before;
  absl::Time not_after;
};

struct IssuedCertificate {
  std::string pem;     // the certificate alone
  std::string serial;  // lowercase hexadecimal
};

// A self-signed authority for `fleet`, PEM.
absl::StatusOr<std::string> NewAuthority(const SecretString& private_key, absl::string_view fleet,
                                         absl::Time not_before, absl::Time not_after);

// Issues a certificate for the request's key. INVALID_ARGUMENT when the request is larger than 16
// KiB, is not a PKCS#10 request, its signature does not hold, or its key is not P-256. Everything
// but the key is ignored.
absl::StatusOr<IssuedCertificate> Issue(absl::string_view request_pem, const CertificateSpec& spec,
                                        const std::string& authority_pem,
                                        const SecretString& authority_key);

// What is read of a certificate (the first of the PEM text).
struct CertificateFacts {
  Identity identity;
  std::string serial;
  absl::Time not_before;
  absl::Time not_after;
  std::string fingerprint;  // SHA-256 of the DER form, lowercase hexadecimal
  std::string key;          // SHA-256 of the public key, as RequestKeyFingerprint
};
// INVALID_ARGUMENT when it is not a certificate. The identity is anonymous when it carries none of
// ours.
absl::StatusOr<CertificateFacts> ReadCertificate(absl::string_view pem);

// The first certificate of the PEM text, alone. INVALID_ARGUMENT as ReadCertificate.
absl::StatusOr<std::string> FirstCertificate(absl::string_view pem);

// SHA-256 (hex) of the public key of a request, to recognise a repeated one. Errors as for Issue.
absl::StatusOr<std::string> RequestKeyFingerprint(absl::string_view request_pem);
// The same of a private key. INTERNAL when it cannot be read.
absl::StatusOr<std::string> KeyFingerprint(const SecretString& private_key);

// Whether one of the authorities (PEM, one after another) signed the certificate; its times do not
// matter. INVALID_ARGUMENT when none did, or when either cannot be read.
absl::Status CheckIssuer(absl::string_view certificate_pem, absl::string_view authorities_pem);

// SHA-256 in lowercase hexadecimal.
std::string Sha256Hex(absl::string_view data);

}  // namespace mtp::tls
