// Enrolment of this host: a join token becomes an identity folder.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/tls/join_token.h"

namespace mtp::agent {

struct JoinResult {
  std::string host;
  std::string fleet;
};

// Fetches the authority from the enrolment address and compares it with the token's fingerprint,
// makes the key in `identity_folder` (or takes the one of an earlier try), and has it signed.
// Called again with the same token after a lost answer, it ends the same. PERMISSION_DENIED when
// the token is refused; UNAVAILABLE when the controller cannot be reached; FAILED_PRECONDITION when
// whoever answers there is not the token's fleet.
absl::StatusOr<JoinResult> Join(const tls::JoinToken& token, const std::string& identity_folder,
                                const std::string& agent_address);

}  // namespace mtp::agent
