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
  bool turned = false;
  {
    absl::MutexLock lock(&mutex_);
    HostObservation& seen = hosts_[host];
    const bool before = seen.connected;
    change(seen);
    turned = seen.connected != before;
  }
  Notify(turned);
}

void Observations::Remove(const std::string& host) {
  bool turned = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto removed = hosts_.extract(host);
    turned = !removed.empty() && removed.mapped().connected;
  }
  Notify(turned);
}

std::shared_ptr<void> Observations::Listen(std::function<void()> on_change) {
  return Add({std::move(on_change), /*connections_only=*/false});
}

std::shared_ptr<void> Observations::ListenToConnections(std::function<void()> on_change) {
  return Add({std::move(on_change), /*connections_only=*/true});
}

std::shared_ptr<void> Observations::Add(Listener listener) {
  absl::MutexLock lock(&listeners_mutex_);
  const int64_t id = next_listener_++;
  listeners_[id] = std::move(listener);
  return std::shared_ptr<void>(nullptr, [this, id](void*) {
    absl::MutexLock lock(&listeners_mutex_);
    listeners_.erase(id);
  });
}

void Observations::Notify(bool turned) {
  absl::MutexLock lock(&listeners_mutex_);
  for (const auto& [id, listener] : listeners_) {
    if (turned || !listener.connections_only) listener.on_change();
  }
}

}  // namespace mtp
