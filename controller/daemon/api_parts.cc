#include "controller/daemon/api_parts.h"

#include <absl/time/clock.h>

#include "common/base/status.h"
#include "common/tls/credentials.h"

namespace mtp {
namespace {

constexpr int kMaxGatewayCalls = 64;
constexpr absl::Duration kDrainTime = absl::Seconds(2);
// The largest request of an operator is a call of a gateway, with parameters of at most 1 MiB.
constexpr int kMaxRequestBytes = 2 << 20;
constexpr int kMaxJoinBytes = 64 << 10;

}  // namespace

ApiParts::ApiParts(Foundation* on, WorkParts* work, FailoverParts* failover, TrustParts* trust)
    : base(*on),
      tokens(base.store.get(), &*base.authority, &base.clock, &base.random,
             base.settings.enroll_advertise),
      operators(base.store.get(), &*base.authority, &base.clock),
      audit(base.store.get(), &base.clock, &base.random),
      authorizer(base.store.get(), base.settings.fleet),
      gate(&authorizer, &audit, &base.api_pool),
      gateway_gate(&authorizer, &audit, &base.gateway_pool,
                   Gate::Limits{.max_calls = kMaxGatewayCalls}),
      tenant_service(&gate, &work->tenants, &failover->failovers, base.store.get(),
                     &base.observations, &work->sessions, &gateway_gate),
      host_service(&gate, base.store.get(), &base.observations, &tokens, &failover->removals),
      backup_service(&gate, &work->backups, &work->repositories, &work->policies, &work->sessions,
                     base.settings.fleet),
      rollout_service(&gate, base.store.get(), &work->rollouts),
      operation_service(&gate, base.store.get(), &work->engine),
      fleet_service(&gate, base.store.get(), &base.observations, &work->tenants, &operators,
                    &trust->rotations, &audit, &base.clock, base.settings.fleet),
      enrollment_service(&tokens, &audit, &base.clock, &base.api_pool) {}

absl::Status ApiParts::Listen() {
  const Log log = base.log.For("door");
  MTP_RETURN_IF_ERROR(api.Open(
      {base.settings.listen, tls::MutualTlsServer(base.IdentityFolder()), kMaxRequestBytes, log},
      {&tenant_service, &host_service, &backup_service, &operation_service, &rollout_service,
       &fleet_service}));
  return enroll.Open({base.settings.enroll_listen, tls::EnrollmentServer(base.IdentityFolder()),
                      kMaxJoinBytes, log},
                     {&enrollment_service});
}

void ApiParts::Stop() {
  const absl::Time deadline = absl::Now() + kDrainTime;
  enroll.Close();
  api.Close();
  enroll.Shutdown(deadline);
  api.Shutdown(deadline);
}

}  // namespace mtp
