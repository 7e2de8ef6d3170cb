// The one table of who may call what. A method that is not in it cannot be called; a test fails
// when one is missing.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include <optional>

#include "mtp/v1/fleet.pb.h"

namespace mtp {

struct MethodRule {
  // `mtp.v1.TenantService/ProvisionTenant`.
  absl::string_view method;
  // Roles from this one on may call it.
  v1::Role role;
  // Changes something, or runs something inside a tenant: audited.
  bool mutates;
};

// Nothing when the method is not in the table.
std::optional<MethodRule> FindRule(absl::string_view method);
absl::Span<const MethodRule> AllRules();

}  // namespace mtp
