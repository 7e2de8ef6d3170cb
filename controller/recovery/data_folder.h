// The data folder of a controller that goes on from a copy.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "controller/recovery/adjust.h"
#include "mtp/state/v1/state_copy.pb.h"

namespace mtp {

// That a copy could be written there: the folder is absent, empty, or holds what an earlier
// WriteDataFolder left that did not come to its end. FAILED_PRECONDITION otherwise.
absl::Status CheckDataFolder(const std::string& data_dir);

// Adjusts the copy (AdjustState) and writes its files and its records, as the store, into the
// folder, for its owner alone; what an earlier call left is removed first. Killed in between, it
// leaves a folder that `run` refuses and that can be written again. Returns what was interrupted.
// DATA_LOSS when the copy lacks a file, or names one that does not belong there.
absl::StatusOr<std::vector<Interrupted>> WriteDataFolder(state::v1::StateCopy* copy,
                                                         const std::string& data_dir,
                                                         absl::Time now);

}  // namespace mtp
