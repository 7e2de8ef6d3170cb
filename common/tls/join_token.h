// The text with which a host joins: who the fleet is, where it enrols, and a secret that works
// once.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/base/secret_string.h"

namespace mtp::tls {

struct JoinToken {
  std::string id;                     // public; key of its record
  std::string host;                   // the only host that may use it
  std::string address;                // enrolment listener, `address:port`
  std::string authority_fingerprint;  // SHA-256 of the fleet's authority, hexadecimal
  SecretString secret;
};

// `mtpj1_` and base64url of all fields with a checksum, one word that survives copy and paste.
SecretString EncodeJoinToken(const JoinToken& token);
// INVALID_ARGUMENT for anything else, also for a token that lost characters on the way. The
// sentence never shows it.
absl::StatusOr<JoinToken> DecodeJoinToken(absl::string_view text);

}  // namespace mtp::tls
