// Secrets as operators hand them over: in a file, on standard input, or typed without being shown.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>
#include <vector>

#include "cli/commands/environment.h"
#include "common/base/secret_string.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// Most bytes of a secret's file.
inline constexpr size_t kMaxSecretBytes = 64 * 1024;

// One secret as it will be sent: one trailing newline is cut, nothing else is changed.
// INVALID_ARGUMENT with one sentence, which never shows the secret, when it is empty, has several
// lines or control characters, or is not UTF-8. `what` names it for the sentence: `the bot token in
// token.txt`.
absl::StatusOr<SecretString> CheckSecret(SecretString raw, absl::string_view what);

// From the file, or from standard input for `-`. INVALID_ARGUMENT as above, and for a folder, a
// file that cannot be read, and one larger than kMaxSecretBytes.
absl::StatusOr<SecretString> ReadSecret(const Environment& environment, const std::string& file,
                                        absl::string_view what);

// As ReadSecret, for a text of several lines, such as a private key: nothing is changed, not even
// the newline at its end. INVALID_ARGUMENT when it is empty, not UTF-8, or has control characters
// other than newlines and tabs.
absl::StatusOr<SecretString> ReadSecretText(const Environment& environment, const std::string& file,
                                            absl::string_view what);

// A flag that names a secret's file, and the field of a request that the secret goes to.
struct SecretFlag {
  std::string file;  // may be empty: then the field stays as it is
  absl::string_view what;
  std::string* field;
  bool is_text = false;  // by ReadSecretText
};

// Reads all of them. INVALID_ARGUMENT as above, and when more than one is to come from standard
// input. The caller wipes the fields.
absl::Status ReadSecretFlags(const Environment& environment, const std::vector<SecretFlag>& flags);

// Of a tenant's secrets no copy outlives the call.
void WipeTenantSecrets(v1::TenantSecrets* secrets);

}  // namespace mtp::cli
