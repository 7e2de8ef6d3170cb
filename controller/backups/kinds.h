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

// Fact of a backup: short name of its repository.
inline constexpr char kRepositoryFact[] = "repository";
// Fact of a verification and a restore: ULID of the backup.
inline constexpr char kBackupFact[] = "backup";
// Facts of a verification: where it takes place.
inline constexpr char kHostFact[] = "host";
inline constexpr char kEpochFact[] = "epoch";
// Fact of a restore: `true` when the tenant was placed for it.
inline constexpr char kFreshFact[] = "fresh";
// Fact of a fresh restore: `true` when the host keeps data of an earlier tenant of that name.
inline constexpr char kSetAsideFact[] = "set_aside";
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

// snapshot → record. The backup's ULID is the operation's.
operations::Kind BackupKind(const BackupClients& clients);
// verify → record.
operations::Kind VerifyBackupKind(const BackupClients& clients);
// reserve → restore-data → start-container → activate.
operations::Kind RestoreKind(const BackupClients& clients);
// forget.
operations::Kind PruneKind(const BackupClients& clients);
// pull → backup → rehearse → stop → final-backup → start-container → soak → record.
operations::Kind UpdateKind(const BackupClients& clients);

}  // namespace mtp
