// What the agent knows right now, and who wants to hear of changes. Only the latest state of each
// thing counts, so a slow listener costs at most one entry a thing and never falls behind for good.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe.
class Board {
 public:
  class Listener;

  void SetHost(const v1::HostStatus& host);
  void SetTenant(const v1::TenantObservation& tenant);
  void SetTenantGone(const std::string& tenant);
  void SetAction(const v1::Action& action);
  void SetKeptData(const v1::KeptDataList& kept);

  v1::HostStatus Host() const;
  std::optional<v1::TenantObservation> Tenant(const std::string& tenant) const;

  // `on_change` is called, from any thread and with no lock of the board held, whenever Take() may
  // have something new, and perhaps once more after the listener has gone; it must not block. At
  // most `max_changes` things may be waiting, beyond that the listener is overrun. The listener
  // begins with everything there is, and then `snapshot_complete`.
  std::shared_ptr<Listener> Listen(size_t max_changes, std::function<void()> on_change);

 private:
  friend class Listener;
  // Puts the event under its key, drops it when it says nothing new.
  void Publish(const std::string& key, v1::AgentEvent event);

  mutable absl::Mutex mutex_;
  // Latest event by key. Tenants that are gone stay
  // for the listeners that have not heard it; there are few names in a host's life.
  std::map<std::string, v1::AgentEvent> latest_ ABSL_GUARDED_BY(mutex_);
  std::set<Listener*> listeners_ ABSL_GUARDED_BY(mutex_);
};

// One watcher's place. Thread-safe. The board must outlive it.
class Board::Listener {
 public:
  ~Listener();

  // The next event to send; nothing when all has been taken.
  std::optional<v1::AgentEvent> Take();
  // True when more changes waited than allowed: end the stream, the watcher comes again.
  bool overrun() const;

 private:
  friend class Board;
  Listener(Board* board, size_t max_changes, std::function<void()> on_change)
      : board_(board), max_changes_(max_changes), on_change_(std::move(on_change)) {}

  Board* const board_;
  const size_t max_changes_;
  const std::function<void()> on_change_;
  // All below under the board's mutex.
  std::set<std::string> changed_;
  bool snapshot_sent_ = false;
  bool overrun_ = false;
};

}  // namespace mtp
