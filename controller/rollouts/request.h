// What callers ask of a new rollout, checked and made complete.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "controller/backups/repositories.h"
#include "controller/state/tables.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp {

// The settings with every default filled in, so that two requests that mean the same are the same.
// INVALID_ARGUMENT for what is out of its bounds; the repository as Repositories::Choose.
absl::StatusOr<v1::RolloutSettings> CompleteSettings(v1::RolloutSettings settings,
                                                     const Repositories& repositories);

// Short names of the tenants that are meant, sorted, each once. INVALID_ARGUMENT for a bad name and
// for too many, NOT_FOUND for an unknown one, FAILED_PRECONDITION when the fleet has none or more
// than a rollout takes.
absl::StatusOr<std::vector<std::string>> WantedTenants(const Tables& tables,
                                                       const v1::CreateRolloutRequest& request);

// NOT_FOUND with the sentence for people.
absl::Status NoSuchTenant(const std::string& tenant);

}  // namespace mtp
