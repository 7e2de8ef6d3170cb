#include "controller/rollouts/all_kinds.h"

#include "controller/failover/yield.h"
#include "controller/tenants/kinds.h"

namespace mtp {

std::vector<operations::Kind> AllKinds(const BackupClients& clients,
                                       const RolloutClients& rollout_clients) {
  const TenantClients& tenants = clients.tenants;
  return {ProvisionKind(tenants),
          StartKind(tenants),
          StopKind(tenants),
          RestartKind(tenants),
          SetKind(tenants),
          SetFailoverKind(tenants),
          failover::Yielding(ReconfigureKind(tenants), tenants.store),
          RemoveKind(clients),
          BackupKind(clients),
          VerifyBackupKind(clients),
          DrillKind(clients),
          RestoreKind(clients),
          PruneKind(clients),
          CheckRepositoryKind(clients),
          failover::Yielding(UpdateKind(clients), tenants.store),
          RolloutKind(rollout_clients)};
}

}  // namespace mtp
