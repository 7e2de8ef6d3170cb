// How many streams are open: of one caller, and in all.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <string>

namespace mtp {

// Thread-safe. Places may be given back after it is gone.
class StreamPlaces {
 public:
  StreamPlaces(int max, int max_per_caller) : max_(max), max_per_caller_(max_per_caller) {}

  // A place, taken until the last copy is gone. RESOURCE_EXHAUSTED when the caller, or all
  // together, have as many as they may.
  absl::StatusOr<std::shared_ptr<void>> Take(const std::string& caller);
  int taken() const;

 private:
  struct Taken {
    absl::Mutex mutex;
    int all ABSL_GUARDED_BY(mutex) = 0;
    std::map<std::string, int> by_caller ABSL_GUARDED_BY(mutex);
  };

  const int max_;
  const int max_per_caller_;
  const std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
};

}  // namespace mtp
