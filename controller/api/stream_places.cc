#include "controller/api/stream_places.h"

#include <absl/strings/str_cat.h>

namespace mtp {

absl::StatusOr<std::shared_ptr<void>> StreamPlaces::Take(const std::string& caller) {
  absl::MutexLock lock(&taken_->mutex);
  const auto found = taken_->by_caller.find(caller);
  if (found != taken_->by_caller.end() && found->second >= max_per_caller_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(caller, " has ", max_per_caller_,
                     " streams open already (--watch, --wait, logs, exec); end one and try again"));
  }
  if (taken_->all >= max_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the controller serves ", max_, " streams already; try again later"));
  }
  ++taken_->all;
  ++taken_->by_caller[caller];
  return std::shared_ptr<void>(nullptr, [taken = taken_, caller](void*) {
    absl::MutexLock giving_back(&taken->mutex);
    --taken->all;
    const auto own = taken->by_caller.find(caller);
    if (--own->second == 0) taken->by_caller.erase(own);
  });
}

int StreamPlaces::taken() const {
  absl::MutexLock lock(&taken_->mutex);
  return taken_->all;
}

}  // namespace mtp
