#include "controller/backups/drill_room.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/status.h"
#include "controller/state/fleet.h"
#include "controller/tenants/claims.h"

namespace mtp {
namespace {

std::string EntryOf(const std::string& who) { return absl::StrCat(kSandboxPrefix, who); }

}  // namespace

absl::Status TakeDrillRoom(const Tables& tables, const std::string& host, const std::string& who,
                           int64_t memory_mib, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(const auto record, tables.hosts.Get(host));
  auto row = tables.allocations.Get(host);
  if (absl::IsNotFound(row.status())) {
    row = kv::Row<state::v1::AllocationsRecord>{host, state::v1::AllocationsRecord(), 0};
  }
  if (!row.ok()) return row.status();
  DropAllocation(EntryOf(who), row->value);
  int64_t free_mib = record.value.allocatable_mib();
  for (const auto& allocation : row->value.allocations()) free_mib -= allocation.memory_mib();
  if (memory_mib > free_mib) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "host ", host, " has no room for a sandbox: ", std::max<int64_t>(free_mib, 0),
        " MiB are free of ", record.value.allocatable_mib(), ", and it takes ", memory_mib,
        " MiB like the tenant itself; free some, or try again when other drills have ended"));
  }
  auto* allocation = row->value.add_allocations();
  allocation->set_tenant(EntryOf(who));
  allocation->set_memory_mib(memory_mib);
  txn.RequireRevision(tables.allocations.Key(host), row->revision);
  tables.allocations.Put(txn, host, row->value);
  return absl::OkStatus();
}

void ReleaseDrillRoom(const Tables& tables, const std::string& host, const std::string& who,
                      kv::Txn& txn) {
  auto row = tables.allocations.Get(host);
  if (!row.ok() || !DropAllocation(EntryOf(who), row->value)) return;
  txn.RequireRevision(tables.allocations.Key(host), row->revision);
  tables.allocations.Put(txn, host, row->value);
}

}  // namespace mtp
