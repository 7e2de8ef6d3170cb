// The fleet as a value: pure functions from records and observations to what the scheduler and
// people read.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "controller/scheduler/scheduler.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

// What is set aside for a sandbox, and not for a tenant, is in AllocationsRecord under a name that
// begins so.
inline constexpr char kSandboxPrefix[] = "drill/";
bool IsSandbox(const state::v1::AllocationsRecord::Allocation& allocation);

// Hosts as the scheduler sees them, by name. DATA_LOSS when a record cannot be read.
absl::StatusOr<std::vector<scheduler::HostView>> HostViews(const Tables& tables,
                                                           const FleetObservation& observed);

// One host, one tenant, or everything as shown to callers.
v1::Host ToHost(const kv::Row<state::v1::HostRecord>& row,
                const state::v1::AllocationsRecord& allocations, const HostObservation& observed);
v1::Tenant ToTenant(const kv::Row<state::v1::TenantRecord>& row, const std::string& transition_kind,
                    const HostObservation& observed);
// `tenant`, when not empty, leaves only that tenant and its host (NOT_FOUND when unknown).
absl::StatusOr<v1::FleetStatus> ToFleetStatus(const Tables& tables,
                                              const FleetObservation& observed, absl::Time now,
                                              const std::string& tenant);

// The operation that holds the tenant's lock, by its ULID. NOT_FOUND when none does.
absl::StatusOr<kv::Row<state::v1::OperationRecord>> HolderOf(const Tables& tables,
                                                             const std::string& tenant);
// Its kind; empty when there is none.
std::string TransitionKind(const Tables& tables, const std::string& tenant);

// An etag: the revision of the row.
std::string Etag(int64_t revision);

}  // namespace mtp
