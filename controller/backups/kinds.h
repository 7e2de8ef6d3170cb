// The operation kinds of backups. The names of kinds, steps and facts are part of the API and of
// the stored state.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "controller/operations/engine.h"
#include "controller/tenants/kinds.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// What the steps act through. The pointed-to objects must outlive the engine.
struct BackupClients {
  TenantClients tenants;
  const Clock* clock = nullptr;
  // Name of the fleet, part of a snapshot's tags.
  std::string fleet;
};

// A backup and a removal have kRepositoryFact.
// Fact of a backup: what it is made for, Backup.reason; `manual` when there is none.
inline constexpr char kReasonFact[] = "reason";
// Fact of a verification and a restore: ULID of the backup.
inline constexpr char kBackupFact[] = "backup";
// Fact of a check of a repository, which also has kRepositoryFact: `true` when all data is read.
inline constexpr char kReadDataFact[] = "read_data";
// Facts of a verification: where it takes place.
inline constexpr char kHostFact[] = "host";
inline constexpr char kEpochFact[] = "epoch";
// Fact of a restore: `true` when the tenant was placed for it.
inline constexpr char kFreshFact[] = "fresh";
// Fact of a fresh restore: `true` when the host keeps data of an earlier tenant of that name.
inline constexpr char kSetAsideFact[] = "set_aside";
// Facts of a fresh restore that places a tenant of a lost host elsewhere (failover): that host, the
// port it had there, and whether it was under that host's lease, `true` or `false`.
inline constexpr char kFailedOverFromFact[] = "failed_over_from";
inline constexpr char kPortBeforeFact[] = "port_before";
inline constexpr char kLeasedBeforeFact[] = "leased_before";
// Fact of a pruning: the host that removes what the backup's host wrote into its repository. Its
// input is a PruneBackupsResponse with the backups. Also has kEpochFact.
std::string PrunerFact(const v1::Backup& backup);
// A restore of a placed tenant also has kWasRunningFact.

// Facts of an update, beside kRepositoryFact: the image that it is for, pinned; the one that was in
// force before, as exactly as it was known; what the spec shall ask for from now on, empty to leave
// it; ULIDs of its backups; the settings.
inline constexpr char kToImageFact[] = "to_image";
inline constexpr char kFromImageFact[] = "from_image";
inline constexpr char kSpecImageFact[] = "spec_image";
inline constexpr char kOnlineBackupFact[] = "online_backup";
inline constexpr char kFinalBackupFact[] = "final_backup";
inline constexpr char kRehearseFact[] = "rehearse";  // `true` or `false`
inline constexpr char kSoakFact[] = "soak_s";
inline constexpr char kIdleWaitFact[] = "idle_wait_s";

// stop → backup → remove-from-host → release. The final backup's ULID is the operation's.
operations::Kind RemoveKind(const BackupClients& clients);
// snapshot → record. The backup's ULID is the operation's.
operations::Kind BackupKind(const BackupClients& clients);
// verify → record.
operations::Kind VerifyBackupKind(const BackupClients& clients);
// drill → record. Its input is the v1::TenantSpec of the sandbox; facts as a verification. Holds
// room on the host (drill_room.h) under the backup's ULID.
operations::Kind DrillKind(const BackupClients& clients);
// reserve → restore-data → start-container → activate.
operations::Kind RestoreKind(const BackupClients& clients);
// forget.
operations::Kind PruneKind(const BackupClients& clients);
// check.
operations::Kind CheckRepositoryKind(const BackupClients& clients);
// pull → backup → rehearse → stop → final-backup → start-container → soak → record.
operations::Kind UpdateKind(const BackupClients& clients);
// In the error of an update that was undone after the tenant was stopped. Without it, and unless
// undoing failed, the tenant was left as it was.
inline constexpr char kIsBack[] = "it is back on its old image";

}  // namespace mtp
