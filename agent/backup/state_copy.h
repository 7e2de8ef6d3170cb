// Copies of the controller's state in a repository. They come sealed: the agent cannot read them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <string>

#include "common/base/log.h"
#include "common/restic/repository.h"

namespace mtp {

// So many stay in a repository, the newest.
inline constexpr int kStateCopiesKept = 30;

struct StateCopy {
  std::string fleet;
  std::string id;  // ULID: sorts by the controller's clock
  std::string host;
  absl::Time time;
  absl::string_view bytes;
};

// Stores the copy as the file `state` of a snapshot, and returns that; the same copy again returns
// the same. The repository is made when it is not there. `folder` is used meanwhile and removed.
// Old copies that cannot be removed are left for the next time, with a word in the log. Errors as
// Repository.
absl::StatusOr<std::string> StoreStateCopy(Repository& repository, const StateCopy& copy,
                                           const std::string& folder, const Log& log,
                                           const CancelToken* cancel);

}  // namespace mtp
