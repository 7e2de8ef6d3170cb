// Whose data folder it is.
#pragma once

#include <absl/status/status.h>

#include <string>

namespace mtp {

// FAILED_PRECONDITION, with what to type, when the folder is there and belongs to another user than
// this process: a file that root leaves there is one that the service, which runs as its owner,
// cannot open.
absl::Status CheckOwner(const std::string& data_dir);

}  // namespace mtp
