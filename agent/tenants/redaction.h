// Container output as a person may see it: no secret of the tenant, no control characters, short.
#pragma once

#include <absl/strings/string_view.h>

#include <string>
#include <vector>

#include "mtp/v1/tenant.pb.h"

namespace mtp {

// `text` with each of the tenant's secrets replaced by `[redacted]`, by value; the part of a bot
// token behind its colon too. Secrets shorter than 6 characters are left: they are words.
std::string RedactSecrets(absl::string_view text, const v1::TenantSecrets& secrets);

// The last `max_lines` lines that are not empty, as LastLines, each at most `max_bytes` (its begin
// counts) of valid UTF-8.
std::vector<std::string> LastLineList(absl::string_view output, const v1::TenantSecrets& secrets,
                                      int max_lines, size_t max_bytes);

// The last `max_lines` lines that are not empty, joined by ` | `, redacted, without terminal
// colours and control characters, at most `max_bytes` (the end counts).
std::string LastLines(absl::string_view output, const v1::TenantSecrets& secrets, int max_lines,
                      size_t max_bytes);

}  // namespace mtp
