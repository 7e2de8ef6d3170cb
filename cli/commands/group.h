// One command for several tenants: one that fails does not stop the others.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>
#include <vector>

#include "cli/commands/invocation.h"

namespace mtp::cli {

// One id stands for one request, so several tenants (`tenants/acme`) have several: `<id>.acme`. No
// tenant's name has a dot.
std::string GroupRequestId(const std::string& request_id, const std::string& tenant);

// Shows at once why a tenant's part failed; nothing where the output is for a program.
void TellFailure(Invocation& invocation, const std::string& tenant, absl::string_view why);

// How the whole is put into words: `<begin>3 of 4 tenants<failed>`, and `<what goes on> 3 of 4
// tenants have not ended; they go on`.
struct GroupWords {
  absl::string_view begin;
  absl::string_view failed;
  absl::string_view what_goes_on;
};

// OK when every tenant's outcome is. Else exit code 1, unless nothing worse happened than that the
// controller was unreachable, or that only waits ended.
absl::Status GroupOutcome(const std::vector<absl::Status>& outcomes, const GroupWords& words);

}  // namespace mtp::cli
