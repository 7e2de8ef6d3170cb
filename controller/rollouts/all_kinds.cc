#include "controller/rollouts/all_kinds.h"

#include "controller/tenants/kinds.h"

namespace mtp {

std::vector<operations::Kind> AllKinds(const BackupClients& clients,
                                       const RolloutClients& rollout_clients) {
  const TenantClients& tenants = clients.tenants;
  return {ProvisionKind(tenants),   StartKind(tenants),
          StopKind(tenants),        RestartKind(tenants),
          SetKind(tenants),         SetFailoverKind(tenants),
          ReconfigureKind(tenants), RemoveKind(clients),
          BackupKind(clients),      VerifyBackupKind(clients),
          DrillKind(clients),       RestoreKind(clients),
          PruneKind(clients),       CheckRepositoryKind(clients),
          UpdateKind(clients),      RolloutKind(rollout_clients)};
}

}  // namespace mtp
