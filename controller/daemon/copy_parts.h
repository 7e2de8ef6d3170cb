// What the copies of the controller's state are made and kept by.
#pragma once

#include "controller/daemon/foundation.h"
#include "controller/daemon/work_parts.h"
#include "controller/recovery/agent_copies.h"
#include "controller/recovery/state_copies.h"

namespace mtp {

struct CopyParts {
  // Not started. Both outlive it.
  CopyParts(Foundation* on, WorkParts* work);

  // Ends what is under way. Twice changes nothing.
  void Stop();

  Foundation& base;
  AgentCopies agents;
  StateCopies copies;

 private:
  StateCopies::Edges CopyEdges();
};

}  // namespace mtp
