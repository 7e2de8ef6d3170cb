// A host's certificate as its record has it: which it may use, and when another one is due. Pure.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "controller/pki/authority.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Whether the host may use the certificate with that serial (lowercase hexadecimal): the one that
// is in use, and the next one while it is renewed.
bool MayUse(const state::v1::HostRecord& host, const std::string& serial);

// Serial of the next certificate; empty when there is none.
std::string NextSerial(const state::v1::HostRecord& host);

// Whether the host is to get another certificate: it is due, that was begun and has not ended, or
// the one that it has is not of the authority that issues.
bool NeedsCertificate(const state::v1::HostRecord& host, const TrustedAuthorities& authorities,
                      absl::Time now);
// Whether the host trusts all that are to be trusted, and nobody else, as far as is known.
bool TrustsAll(const state::v1::HostRecord& host, const TrustedAuthorities& authorities);
// Whether something is to be done: either of the above, or one of its facts is not known.
bool NeedsRenewal(const state::v1::HostRecord& host, const TrustedAuthorities& authorities,
                  absl::Time now);

// One sentence for people about a certificate that has ended, or that was not renewed although it
// has been due for long; empty when all is well.
std::string CertificateWarning(const state::v1::HostRecord& host, absl::Time now);

}  // namespace mtp
