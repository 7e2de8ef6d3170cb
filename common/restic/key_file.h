// Key files of a restic repository: the repository's keys, encrypted under a password.
//
// restic encrypts them with a key that it derives by scrypt, with as much work as takes it half a
// second (N = 32768, r = 8, p = 4), since people choose weak passwords; each call pays that anew.
// MTP's passwords are 256 random bits, which no amount of guessing finds, so the work protects
// nothing. restic takes the figures from the file: 0.14 opens one with N = 2, in a twentieth of the
// processor time. Format: restic's doc/design.rst, "Keys, Encryption and MAC".
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/base/secret_string.h"

namespace mtp {

// The same keys under the same password in a file that is cheap to open; what it returns has been
// decrypted again and compared. PERMISSION_DENIED when the password does not open `text`,
// INVALID_ARGUMENT when that is no key file.
absl::StatusOr<std::string> WithoutWork(absl::string_view text, const SecretString& password);

// Replaces the only key file of the new repository in `folder` by its like without work, named by
// its SHA-256 as restic does. Killed at any moment, it leaves at least one of them.
// FAILED_PRECONDITION when there are others than one.
absl::Status MakeOpeningCheap(const std::string& folder, const SecretString& password);

}  // namespace mtp
