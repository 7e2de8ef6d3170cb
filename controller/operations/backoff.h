// Growing pauses between attempts.
#pragma once

#include <absl/time/time.h>

#include "common/base/random.h"

namespace mtp::operations {

// `min` for the first failure (0), doubling with each further one up to `max`; half of it fixed and
// half random, so that many operations that failed together do not return together.
absl::Duration Backoff(int failures, absl::Duration min, absl::Duration max, Random& random);

}  // namespace mtp::operations
