#include "controller/rollouts/all_kinds.h"

#include <utility>

#include "controller/failover/yield.h"
#include "controller/tenants/gone.h"
#include "controller/tenants/kinds.h"

namespace mtp {

std::vector<operations::Kind> AllKinds(const BackupClients& clients,
                                       const RolloutClients& rollout_clients) {
  const TenantClients& tenants = clients.tenants;
  const auto on_tenant = [&](operations::Kind kind, WhenGone when_gone = WhenGone::kFail) {
    return EndWithTenant(std::move(kind), when_gone, tenants.store);
  };
  return {on_tenant(ProvisionKind(tenants)),
          on_tenant(StartKind(tenants)),
          on_tenant(StopKind(tenants)),
          on_tenant(RestartKind(tenants)),
          on_tenant(SetKind(tenants)),
          on_tenant(SetFailoverKind(tenants)),
          on_tenant(failover::Yielding(ReconfigureKind(tenants), tenants.store)),
          on_tenant(RemoveKind(clients), WhenGone::kDone),
          on_tenant(BackupKind(clients)),
          VerifyBackupKind(clients),
          DrillKind(clients),
          on_tenant(RestoreKind(clients)),
          PruneKind(clients),
          CheckRepositoryKind(clients),
          on_tenant(failover::Yielding(UpdateKind(clients), tenants.store)),
          RolloutKind(rollout_clients)};
}

}  // namespace mtp
