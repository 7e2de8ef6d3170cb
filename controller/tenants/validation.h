// Checks of what callers send about tenants, before anything is decided. INVALID_ARGUMENT with one
// sentence that names the field and the rule; never the value of a secret.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "mtp/v1/tenant.pb.h"

namespace mtp {

absl::Status CheckSpec(const v1::TenantSpec& spec);
// That each variable is one that `before` has, or that the fleet allows.
absl::Status CheckAllowedEnvironment(const v1::TenantSpec& spec, const v1::TenantSpec& before,
                                     const std::vector<std::string>& allowed);
// The memory limit of a resolved spec: never below the reservation, nor below the least that this
// fleet gives.
absl::Status CheckLimit(const v1::TenantSpec& resolved, int64_t min_limit_mib);
// `required`: a Telegram token must be there.
absl::Status CheckSecrets(const v1::TenantSecrets& secrets, bool required);
// Empty is fine; at most 128 printable characters without spaces or slashes.
absl::Status CheckRequestId(const std::string& request_id);

// The spec with every default filled in.
v1::TenantSpec Resolve(const v1::TenantSpec& spec, int64_t default_reservation_mib,
                       const std::string& default_image);

}  // namespace mtp
