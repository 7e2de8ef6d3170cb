#include "controller/state/observations.h"

namespace mtp {

FleetObservation Observations::Get() const {
  absl::MutexLock lock(&mutex_);
  return hosts_;
}

HostObservation Observations::GetHost(const std::string& host) const {
  absl::MutexLock lock(&mutex_);
  auto it = hosts_.find(host);
  return it == hosts_.end() ? HostObservation() : it->second;
}

void Observations::Update(const std::string& host,
                          const std::function<void(HostObservation&)>& change) {
  {
    absl::MutexLock lock(&mutex_);
    change(hosts_[host]);
  }
  Notify();
}

void Observations::Remove(const std::string& host) {
  {
    absl::MutexLock lock(&mutex_);
    hosts_.erase(host);
  }
  Notify();
}

std::shared_ptr<void> Observations::Listen(std::function<void()> on_change) {
  absl::MutexLock lock(&listeners_mutex_);
  const int64_t id = next_listener_++;
  listeners_[id] = std::move(on_change);
  return std::shared_ptr<void>(nullptr, [this, id](void*) {
    absl::MutexLock lock(&listeners_mutex_);
    listeners_.erase(id);
  });
}

void Observations::Notify() {
  absl::MutexLock lock(&listeners_mutex_);
  for (auto& [id, on_change] : listeners_) on_change();
}

}  // namespace mtp
