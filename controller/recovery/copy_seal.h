// Encryption of copies of the state. What leaves the controller is sealed by the controller itself:
// the hosts that carry copies into repositories, and whoever reads those, learn nothing from them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/base/secret_string.h"

namespace mtp {

// What opens the fleet's copies in a repository: derived from the repository's root key (64
// hexadecimal digits), which is in the recovery kit and which no agent has. In another way than
// the passwords of the parts, which agents have.
SecretString CopyKey(absl::string_view root_key, absl::string_view fleet);

// XChaCha20-Poly1305 under that key.
absl::StatusOr<std::string> SealCopy(absl::string_view packed, const SecretString& key);
// DATA_LOSS when it was changed, or was sealed under another key; INVALID_ARGUMENT when it is no
// sealed copy, or one under a passphrase.
absl::StatusOr<SecretString> OpenCopy(absl::string_view sealed, const SecretString& key);

// The same under a passphrase of 12 to 1024 bytes (INVALID_ARGUMENT), by Argon2id with 256 MiB.
// RESOURCE_EXHAUSTED when there is no such memory.
absl::StatusOr<std::string> SealCopyWithPassphrase(absl::string_view packed,
                                                   const SecretString& passphrase);
absl::StatusOr<SecretString> OpenCopyWithPassphrase(absl::string_view sealed,
                                                    const SecretString& passphrase);

}  // namespace mtp
