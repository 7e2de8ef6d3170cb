#include "controller/backups/decided_place.h"

#include <absl/strings/numbers.h>

#include <utility>

#include "common/base/status.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/repositories.h"

namespace mtp {

using operations::StepContext;
using operations::StepResult;

absl::StatusOr<BackupAtPlace> FindAtPlace(const BackupClients& clients,
                                          const StepContext& context) {
  const Tables tables(clients.tenants.store);
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables, context.Fact(kBackupFact)));
  BackupAtPlace found;
  found.backup = row.value.backup();
  MTP_ASSIGN_OR_RETURN(found.access, AccessFor(tables, *clients.tenants.box,
                                               found.backup.repository(), found.backup.tenant()));
  found.reference = ReferenceTo(found.backup, clients.fleet);
  found.place.host = context.Fact(kHostFact);
  if (!absl::SimpleAtoi(context.Fact(kEpochFact), &found.place.epoch)) found.place.epoch = 0;
  return found;
}

StepResult CancelAtPlace(const BackupClients& clients, const StepContext& context) {
  (void)CancelThere(context, *clients.tenants.agents, context.Fact(kHostFact)).status();
  return StepResult::Done();
}

}  // namespace mtp
