// The first step of a rollout: from names of images to images that never change.
#pragma once

#include <set>
#include <string>

#include "controller/rollouts/rollout_kind.h"

namespace mtp {

// Brings the images onto all hosts of the rollout's tenants at the same time. DONE puts into the
// step's transaction what each tenant is updated to, who has it already, and the waves of the
// others. FAILED when a host cannot get its image, or when hosts have got different ones under the
// same name.
operations::StepResult ResolveImages(const RolloutClients& clients,
                                     operations::StepContext& context);
// Cancels what still goes on of it.
operations::StepResult StopResolving(const RolloutClients& clients,
                                     operations::StepContext& context);

// Makes sure of the cancel request that belongs to an abort: whoever noted the abort may have died
// before the request was made.
operations::StepResult CancelItself(const RolloutClients& clients, const std::string& id);

// Those of the tenants that are labelled `canary=true`.
std::set<std::string> LabelledCanaries(const Tables& tables, const v1::Rollout& rollout);

}  // namespace mtp
