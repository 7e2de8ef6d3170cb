// The fleet as JSON and as tables. Pure: the same answer of the controller gives the same text.
#pragma once

#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <string>

#include "mtp/v1/fleet.pb.h"
#include "mtp/v1/host.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// Fields in the order in which they are written.
using Json = nlohmann::ordered_json;

// Grows when a field changes its meaning or goes; new fields do not change it.
inline constexpr int kStatusSchema = 1;

// The documented object of `status -o json` (docs/cli.md): `hosts`, `tenants`, `admins` and some
// facts about the fleet. Uptimes count to `now`.
Json FleetJson(const v1::FleetStatus& fleet, absl::Time now);

// One tenant, as an element of `tenants`.
Json TenantJson(const v1::Tenant& tenant, absl::Time now);

// One host, as an element of `hosts`.
Json HostJson(const v1::Host& host);

// The hosts alone, as a table.
std::string HostTable(const v1::FleetStatus& fleet, int width, bool colour);

// Hosts, then tenants with the admin instances, then one line for each thing that needs attention.
std::string FleetTables(const v1::FleetStatus& fleet, absl::Time now, int width, bool colour);

}  // namespace mtp::cli
