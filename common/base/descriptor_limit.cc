#include "common/base/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace mtp {
namespace {

constexpr int kUnknown = 1024;

int Clamped(rlim_t limit) {
  return static_cast<int>(std::min<rlim_t>(limit, std::numeric_limits<int>::max()));
}

}  // namespace

int RaiseDescriptorLimit(int wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < static_cast<rlim_t>(wanted)) {
    limit.rlim_cur = std::min<rlim_t>(static_cast<rlim_t>(wanted), limit.rlim_max);
    // Refused only to one who may not; then it stays as it is.
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
  return DescriptorLimit();
}

int DescriptorLimit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? Clamped(limit.rlim_cur) : kUnknown;
}

}  // namespace mtp
