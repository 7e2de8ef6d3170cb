// What the agents report, kept in memory only: it is observed anew after every start.
#pragma once

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "mtp/v1/host.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// What is known of one host.
struct HostObservation {
  // The watch stream is up and its snapshot is complete.
  bool connected = false;
  // Wall-clock time of the last event.
  absl::Time last_seen = absl::InfinitePast();
  // Why it is not connected, for people.
  std::string error;
  v1::HostStatus status;
  // By short name; kept while the host is unreachable, as the last that was seen.
  std::map<std::string, v1::TenantStatus> tenants;
  std::set<std::string> kept_data;
  // While it is not connected: why a tenant is not placed elsewhere, in one sentence, by short
  // name.
  std::map<std::string, std::string> held;
};

using FleetObservation = std::map<std::string, HostObservation>;

// Thread-safe.
class Observations {
 public:
  // A copy as of one moment.
  FleetObservation Get() const;
  // Of one host; default values when nothing was heard of it.
  HostObservation GetHost(const std::string& host) const;
  // Changes one host's observation and tells the listeners.
  void Update(const std::string& host, const std::function<void(HostObservation&)>& change);
  void Remove(const std::string& host);

  // `on_change` is called after each change, on the changer's thread; it must be short and must not
  // call back into this class. It is not called any more once the returned handle is gone.
  std::shared_ptr<void> Listen(std::function<void()> on_change);
  // The same, but only after a change of whether a host is connected.
  std::shared_ptr<void> ListenToConnections(std::function<void()> on_change);

 private:
  struct Listener {
    std::function<void()> on_change;
    bool connections_only = false;
  };

  std::shared_ptr<void> Add(Listener listener);
  // `turned`: whether a host is connected has changed.
  void Notify(bool turned);

  mutable absl::Mutex mutex_;
  FleetObservation hosts_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex listeners_mutex_;
  std::map<int64_t, Listener> listeners_ ABSL_GUARDED_BY(listeners_mutex_);
  int64_t next_listener_ ABSL_GUARDED_BY(listeners_mutex_) = 0;
};

}  // namespace mtp
