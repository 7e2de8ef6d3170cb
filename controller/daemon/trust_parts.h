// What trust is made of: who renews the certificates, and the rotation of the authority.
#pragma once

#include <memory>

#include "controller/daemon/foundation.h"
#include "controller/daemon/work_parts.h"
#include "controller/trust/agent_trust.h"
#include "controller/trust/rotation.h"
#include "controller/trust/trust_keeper.h"

namespace mtp {

struct TrustParts {
  // Registers the kind of a rotation; the keeper is not started. Both outlive it.
  TrustParts(Foundation* base, WorkParts* work);

  // Ends what is under way. Twice changes nothing.
  void Stop();

  AgentTrust agents;
  RotationClients clients;
  Rotations rotations;
  std::shared_ptr<TrustKeeper> keeper;

 private:
  TrustKeeper::Edges KeeperEdges();
};

}  // namespace mtp
