// Room for a sandbox: a drill or rehearsal takes as much memory as a tenant, so its host sets that
// aside for as long, in the record that placements use.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>

#include "controller/state/tables.h"

namespace mtp {

// Adds to `txn` that `memory_mib` of the host is set aside for the sandbox of `who` (a ULID or a
// tenant's name); once more sets it anew. The commit is ABORTED when the host's reservations
// changed since `tables` was read. RESOURCE_EXHAUSTED with a sentence when there is no room;
// NOT_FOUND without the host.
absl::Status TakeDrillRoom(const Tables& tables, const std::string& host, const std::string& who,
                           int64_t memory_mib, kv::Txn& txn);

// Adds to `txn` that it is free again; nothing when it is not taken.
void ReleaseDrillRoom(const Tables& tables, const std::string& host, const std::string& who,
                      kv::Txn& txn);

}  // namespace mtp
