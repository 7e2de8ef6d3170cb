// Secrets at rest: sealed under one master key that lives in its own file.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/base/secret_string.h"

namespace mtp {

// XChaCha20-Poly1305 with a random nonce (libsodium). Thread-safe.
class SecretBox {
 public:
  // Reads the 32-byte key at `path`, or makes it (mode 0600) when there is none. DATA_LOSS when the
  // file is not a key; FAILED_PRECONDITION when others may read it.
  static absl::StatusOr<SecretBox> Open(const std::string& path);
  // The same, but NOT_FOUND when there is none: where sealed data exists, a new key would only hide
  // that the old one is missing.
  static absl::StatusOr<SecretBox> OpenExisting(const std::string& path);
  // With a key of its own that is nowhere else, for tests.
  static SecretBox ForTest();

  // The sealed bytes. `context` (the record's key) is bound to them: they open under no other.
  std::string Seal(absl::string_view plain, absl::string_view context) const;
  // DATA_LOSS when they were sealed under another key or context, or were changed.
  absl::StatusOr<SecretString> Open(absl::string_view sealed, absl::string_view context) const;

 private:
  explicit SecretBox(SecretString key) : key_(std::move(key)) {}
  SecretString key_;
};

}  // namespace mtp
