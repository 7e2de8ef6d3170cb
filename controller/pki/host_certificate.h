// A host's certificate as its record has it: which it may use, and when another one is due. Pure.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Whether the host may use the certificate with that serial (lowercase hexadecimal): the one that
// is in use, and the next one while it is renewed.
bool MayUse(const state::v1::HostRecord& host, const std::string& serial);

// Serial of the next certificate; empty when there is none.
std::string NextSerial(const state::v1::HostRecord& host);

// Whether something is to be done about the certificate: it is to be renewed, that was begun and
// has not ended, or its end is not known.
bool NeedsRenewal(const state::v1::HostRecord& host, absl::Time now);

// One sentence for people about a certificate that has ended, or that was not renewed although it
// has been due for long; empty when all is well.
std::string CertificateWarning(const state::v1::HostRecord& host, absl::Time now);

}  // namespace mtp
