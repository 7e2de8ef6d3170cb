// Steps of operations on a backup itself, whose place was decided when they were created, since the
// tenant is not locked for them: the facts kBackupFact, kHostFact, kEpochFact.
#pragma once

#include <absl/status/statusor.h>

#include "controller/backups/kinds.h"
#include "controller/operations/engine.h"
#include "controller/tenants/agent_steps.h"
#include "mtp/v1/agent.pb.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// What an action on the backup is asked with.
struct BackupAtPlace {
  v1::Backup backup;
  ActionPlace place;
  v1::BackupReference reference;
  v1::RepositoryAccess access;
};
// NOT_FOUND, DATA_LOSS: there is nothing to act on.
absl::StatusOr<BackupAtPlace> FindAtPlace(const BackupClients& clients,
                                          const operations::StepContext& context);

// Compensation of a step whose action ends by itself when it cannot be reached, and leaves nothing
// behind.
operations::StepResult CancelAtPlace(const BackupClients& clients,
                                     const operations::StepContext& context);

}  // namespace mtp
