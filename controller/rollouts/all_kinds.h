// All operation kinds of a controller. A kind that is not in here does not exist, so that whoever
// goes through all of them (the engine, the crash matrix) forgets none.
#pragma once

#include <vector>

#include "controller/backups/kinds.h"
#include "controller/operations/engine.h"
#include "controller/rollouts/rollout_kind.h"

namespace mtp {

// Names and steps are there without any client; carrying a step out needs all of them.
std::vector<operations::Kind> AllKinds(const BackupClients& clients,
                                       const RolloutClients& rollout_clients);

}  // namespace mtp
