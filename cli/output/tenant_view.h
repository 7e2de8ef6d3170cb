// One tenant in full. Pure.
#pragma once

#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <string>

#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// The tenant as an element of `status`'s `tenants` (fleet_view.h), and with it `spec`, what was
// asked for, `last_log_lines`, and `etag`.
nlohmann::ordered_json TenantDetailsJson(const v1::Tenant& tenant, absl::Time now);

// All facts of it, one a line; a parked one's last log lines at the end.
std::string TenantDetails(const v1::Tenant& tenant, absl::Time now, bool colour);

}  // namespace mtp::cli
