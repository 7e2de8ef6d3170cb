// Steps by which a tenant that is placed comes to run on its host; shared by provision and restore.
#pragma once

#include "controller/operations/engine.h"
#include "controller/tenants/kinds.h"

namespace mtp {

// ApplyTenant of a tenant, with its spec, port and secrets as they are recorded. DATA_LOSS when the
// secrets cannot be read.
absl::StatusOr<v1::EnsureActionRequest> ApplyRequest(const TenantClients& clients,
                                                     const std::string& tenant,
                                                     v1::KeptData kept_data);

// ApplyTenant on the tenant's host, with its spec, port and secrets as they are recorded. Sets the
// operation's results `host` and `port`.
operations::StepResult ApplyOnHost(const TenantClients& clients, operations::StepContext& context,
                                   v1::KeptData kept_data);

// Marks the tenant as provisioned. `restored_from`: ULID of the backup that its data is from, when
// it is placed anew with one.
operations::StepResult Activate(const TenantClients& clients, operations::StepContext& context,
                                const std::string& restored_from = "");

// Its data is that backup's from now on, and older backups are of another state.
void NoteRestored(const std::string& backup, state::v1::TenantRecord& tenant);

}  // namespace mtp
