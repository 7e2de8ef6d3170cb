#include "agent/tenants/slots.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace mtp {

int Slots::Ask(const std::string& who, std::function<void()> wake) {
  absl::MutexLock lock(&mutex_);
  auto place = std::find_if(queue_.begin(), queue_.end(),
                            [&who](const Place& one) { return one.who == who; });
  if (place == queue_.end()) place = queue_.insert(queue_.end(), Place{who, nullptr});
  const int position = static_cast<int>(std::distance(queue_.begin(), place));
  const int ahead = std::max(0, position - limit_ + 1);
  place->wake = ahead > 0 ? std::move(wake) : nullptr;
  return ahead;
}

void Slots::Leave(const std::string& who) {
  std::vector<std::function<void()>> woken;
  {
    absl::MutexLock lock(&mutex_);
    auto place = std::find_if(queue_.begin(), queue_.end(),
                              [&who](const Place& one) { return one.who == who; });
    if (place == queue_.end()) return;
    for (place = queue_.erase(place); place != queue_.end(); ++place) {
      if (place->wake) woken.push_back(std::exchange(place->wake, nullptr));
    }
  }
  for (const auto& wake : woken) wake();
}

}  // namespace mtp
