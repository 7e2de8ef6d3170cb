// `mtp-controller init`: a fleet from nothing.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "controller/daemon/settings.h"

namespace mtp {

// What starts the controller of that folder, for people to type.
std::string StartController(const std::string& data_dir);

// Makes in `data_dir` (0700): master key, authority, controller identity, store with the fleet and
// its first operator `operator_name` (admin), whose identity is written to `operator_folder`.
// Called again it completes what is missing and leaves the rest. FAILED_PRECONDITION when the
// folder holds a fleet of another name, or the controller runs.
absl::Status InitFleet(const std::string& data_dir, const ControllerSettings& settings,
                       const std::string& operator_name, const std::string& operator_folder);

}  // namespace mtp
