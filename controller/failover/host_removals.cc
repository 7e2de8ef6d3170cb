#include "controller/failover/host_removals.h"

#include <absl/strings/str_cat.h>

#include <utility>
#include <vector>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/kinds.h"
#include "controller/failover/failovers.h"
#include "controller/state/fleet.h"
#include "controller/tenants/claims.h"

namespace mtp::failover {
namespace {

using AllocationsRow = kv::Row<state::v1::AllocationsRecord>;

// So many tenants are taken off in one transaction, which holds kv::kMaxChanges: each takes less
// than ten.
constexpr size_t kMostAtOnce = 50;

absl::Status CheckNothingThere(const std::string& host, const AllocationsRow& row, bool heard) {
  int tenants = 0;
  for (const auto& allocation : row.value.allocations()) tenants += IsSandbox(allocation) ? 0 : 1;
  if (tenants > 0) {
    const std::string still =
        absl::StrCat("host ", host, " still has ", tenants, tenants == 1 ? " tenant" : " tenants",
                     " (`mtp-cli status` shows all); ");
    return absl::FailedPreconditionError(
        heard ? absl::StrCat(still, "remove them first")
              : absl::StrCat(still,
                             "place those with a backup elsewhere first (`mtp-cli tenant failover "
                             "NAME`). If its machine is gone for good, `mtp-cli host remove ",
                             host, " --lost` takes off what is left there"));
  }
  if (row.value.allocations().empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("a drill goes on on host ", host,
                   "; wait for its end, or cancel it: `mtp-cli op list --active` shows it"));
}

v1::LostTenant Lost(const Tables& tables, const state::v1::TenantRecord& tenant) {
  v1::LostTenant lost;
  lost.set_name("tenants/" + tenant.name());
  const v1::Backup backup = LastGoodBackup(tables, tenant);
  if (backup.name().empty()) return lost;
  lost.set_backup(backup.name());
  *lost.mutable_backup_time() = backup.start_time();
  return lost;
}

}  // namespace

struct HostRemovals::Plan {
  kv::Row<state::v1::HostRecord> host;
  AllocationsRow allocations;  // revision 0 when there is no such record
  std::vector<kv::Row<state::v1::TenantRecord>> leaving;
  // Of locks that must be held as they are.
  std::vector<kv::Compare> locks;
  // Operations of tenants that leave.
  std::vector<std::string> holders;

  bool ends() const { return leaving.size() <= kMostAtOnce; }
};

absl::StatusOr<HostRemovals::Plan> HostRemovals::Decide(const std::string& host, bool lost) const {
  Plan plan;
  MTP_ASSIGN_OR_RETURN(plan.host, tables_.hosts.Get(host));
  plan.allocations.id = host;
  auto allocations = tables_.allocations.Get(host);
  if (allocations.ok()) plan.allocations = *std::move(allocations);
  const bool heard = observations_->GetHost(host).connected;
  if (!lost) {
    MTP_RETURN_IF_ERROR(CheckNothingThere(host, plan.allocations, heard));
    return plan;
  }
  if (heard) {
    return absl::FailedPreconditionError(
        absl::StrCat("host ", host,
                     " is connected, so it is not lost; remove its tenants, then the host without "
                     "--lost"));
  }
  for (const auto& allocation : plan.allocations.value.allocations()) {
    auto tenant = tables_.tenants.Get(allocation.tenant());
    if (absl::IsNotFound(tenant.status())) continue;  // a sandbox
    if (!tenant.ok()) return tenant.status();
    if (tenant->value.host() != host) {
      return absl::FailedPreconditionError(
          absl::StrCat("tenant ", tenant->id, " is being restored on host ", tenant->value.host(),
                       "; take host ", host, " out when that has ended"));
    }
    const auto holder = HolderOf(tables_, tenant->id);
    if (holder.ok() && holder->value.facts().count(kFailedOverFromFact) > 0) {
      MTP_ASSIGN_OR_RETURN(const auto lock, tables_.locks.Get("tenants/" + tenant->id));
      plan.locks.push_back({TenantLock(tenant->id), lock.revision});
      continue;
    }
    if (holder.ok()) plan.holders.push_back(holder->id);
    plan.leaving.push_back(*std::move(tenant));
  }
  return plan;
}

absl::Status HostRemovals::CarryOut(const Plan& plan) {
  kv::Txn txn;
  txn.compares = plan.locks;
  txn.RequireRevision(tables_.hosts.Key(plan.host.id), plan.host.revision);
  txn.RequireRevision(tables_.allocations.Key(plan.host.id), plan.allocations.revision);
  state::v1::AllocationsRecord left = plan.allocations.value;
  for (size_t i = 0; i < plan.leaving.size() && i < kMostAtOnce; ++i) {
    MTP_RETURN_IF_ERROR(ForgetTenant(tables_, plan.leaving[i], txn));
    DropAllocation(plan.leaving[i].id, left);
  }
  if (plan.ends()) {
    txn.Delete(tables_.hosts.Key(plan.host.id)).Delete(tables_.allocations.Key(plan.host.id));
  } else {
    tables_.allocations.Put(txn, plan.host.id, left);
  }
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  for (const std::string& holder : plan.holders) engine_->Wake(holder);
  return absl::OkStatus();
}

absl::StatusOr<v1::RemoveHostResponse> HostRemovals::Remove(const v1::RemoveHostRequest& request) {
  MTP_ASSIGN_OR_RETURN(const HostName name, HostName::ParseResource(request.name()));
  v1::RemoveHostResponse response;
  for (bool ended = false; !ended;) {
    MTP_ASSIGN_OR_RETURN(const Plan plan, kv::WhileAborted([&]() -> absl::StatusOr<Plan> {
                           MTP_ASSIGN_OR_RETURN(Plan decided, Decide(name.value(), request.lost()));
                           if (!request.validate_only()) MTP_RETURN_IF_ERROR(CarryOut(decided));
                           return decided;
                         }));
    ended = plan.ends() || request.validate_only();
    const size_t gone = ended ? plan.leaving.size() : kMostAtOnce;
    for (size_t i = 0; i < gone; ++i) {
      *response.add_tenants() = Lost(tables_, plan.leaving[i].value);
    }
  }
  return response;
}

}  // namespace mtp::failover
