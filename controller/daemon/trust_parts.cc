#include "controller/daemon/trust_parts.h"

#include <absl/functional/bind_front.h>

namespace mtp {

TrustParts::TrustParts(Foundation* base, WorkParts* work)
    : agents(&work->sessions, &*base->channels),
      clients{base->store.get(), &*base->authority, &*base->box, &base->clock,
              [base] { return base->EnsureOwnIdentity(); }},
      rotations(clients, &work->engine),
      keeper(std::make_shared<TrustKeeper>(base->store.get(), &*base->authority,
                                           &base->observations, &base->clock, &base->step_pool,
                                           KeeperEdges(), base->log.For("trust"))) {
  work->engine.Register(RotateAuthorityKind(clients));
}

TrustKeeper::Edges TrustParts::KeeperEdges() {
  TrustKeeper::Edges edges;
  edges.replace = absl::bind_front(&AgentTrust::Replace, &agents);
  edges.shows = absl::bind_front(&AgentTrust::Shows, &agents);
  edges.renew_own = clients.renew_own;
  return edges;
}

void TrustParts::Stop() {
  agents.Stop();
  keeper->Stop();
}

}  // namespace mtp
