#include "agent/tenants/start_slots.h"

#include <algorithm>
#include <iterator>

namespace mtp {

int StartSlots::Ask(const std::string& who) {
  absl::MutexLock lock(&mutex_);
  auto place = std::find(queue_.begin(), queue_.end(), who);
  if (place == queue_.end()) place = queue_.insert(queue_.end(), who);
  const int position = static_cast<int>(std::distance(queue_.begin(), place));
  return std::max(0, position - limit_ + 1);
}

void StartSlots::Leave(const std::string& who) {
  absl::MutexLock lock(&mutex_);
  queue_.remove(who);
}

}  // namespace mtp
