// Which drills there may be, and where.
#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/backups/backups.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/drill_room.h"
#include "controller/backups/kinds.h"
#include "controller/scheduler/scheduler.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

// What is measured may speak against it although the sums allow it. A cordon is no reason: nothing
// new is placed. A host that is away is waited for.
absl::Status CheckMeasuredRoom(const Tables& tables, const Observations& observations,
                               const std::string& host, int64_t memory_mib) {
  MTP_ASSIGN_OR_RETURN(const auto views, HostViews(tables, observations.Get()));
  for (scheduler::HostView view : views) {
    if (view.name != host || !view.reachable) continue;
    view.cordoned = false;
    view.engine_up = true;
    scheduler::Request request;
    request.memory_mib = memory_mib;
    const scheduler::Decision decision = scheduler::Place({view}, request);
    if (decision.host || decision.rejections.empty()) continue;
    return absl::ResourceExhaustedError(absl::StrCat(
        "host ", host, " has no room for a sandbox: ", decision.rejections.front().reason,
        "; free some, or try again when other drills have ended"));
  }
  return absl::OkStatus();
}

}  // namespace

// The backup's own image, as exactly as it is known: what another one makes of the state proves
// nothing about this backup.
absl::StatusOr<v1::TenantSpec> Backups::SandboxSpec(const v1::Backup& backup) const {
  v1::TenantSpec spec = tenants_->Resolved(backup.spec());
  if (const auto tenant = tables_.tenants.Get(backup.tenant()); tenant.ok()) {
    const v1::TenantSpec& now = tenant->value.resolved();
    spec.set_memory_limit_mib(now.memory_limit_mib());
    spec.set_memory_reservation_mib(now.memory_reservation_mib());
    if (backup.spec().image().empty()) spec.set_image(now.image());
  } else if (!absl::IsNotFound(tenant.status())) {
    return tenant.status();
  }
  if (!backup.image_digest().empty()) spec.set_image(backup.image_digest());
  return spec;
}

absl::StatusOr<Backups::Decision> Backups::DecideDrill(
    const v1::DrillBackupRequest& request) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseBackup(request.name()));
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables_, id));
  const v1::Backup& backup = row.value.backup();
  Decision decision;
  MTP_ASSIGN_OR_RETURN(const ActionPlace place, PlaceOf(backup, decision.txn));
  MTP_ASSIGN_OR_RETURN(const v1::TenantSpec spec, SandboxSpec(backup));
  const int64_t memory_mib = spec.memory_reservation_mib();
  MTP_RETURN_IF_ERROR(CheckMeasuredRoom(tables_, *observations_, place.host, memory_mib));
  MTP_RETURN_IF_ERROR(TakeDrillRoom(tables_, place.host, id, memory_mib, decision.txn));
  decision.operation.kind = "drill";
  decision.operation.target = backup.name();
  decision.operation.host = place.host;
  decision.operation.input = spec.SerializeAsString();
  decision.operation.facts[kBackupFact] = id;
  decision.operation.facts[kHostFact] = place.host;
  decision.operation.facts[kEpochFact] = absl::StrCat(place.epoch);
  decision.operation.locks.push_back(BackupLock(id));
  decision.note = absl::StrCat("in a sandbox of ", memory_mib, " MiB on host ", place.host);
  return decision;
}

}  // namespace mtp
