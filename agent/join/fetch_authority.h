// Gets a fleet's authority from its enrolment listener, trusting nothing but a fingerprint.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace mtp::agent {

// The certificate (PEM) among those that the server at `address` (`host:port`) shows whose SHA-256
// is `fingerprint` (hexadecimal). UNAVAILABLE when nobody answers within 10 s; FAILED_PRECONDITION
// when none matches.
absl::StatusOr<std::string> FetchAuthority(const std::string& address,
                                           const std::string& fingerprint);

}  // namespace mtp::agent
