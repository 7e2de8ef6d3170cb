#include "controller/operations/backoff.h"

#include <algorithm>

namespace mtp::operations {

absl::Duration Backoff(int failures, absl::Duration min, absl::Duration max, Random& random) {
  constexpr int kMaxDoublings = 20;
  const absl::Duration whole =
      std::min(max, min * (int64_t{1} << std::clamp(failures, 0, kMaxDoublings)));
  constexpr uint64_t kParts = 1024;
  return whole / 2 + whole / 2 * static_cast<int64_t>(random.Uint64() % kParts) / kParts;
}

}  // namespace mtp::operations
