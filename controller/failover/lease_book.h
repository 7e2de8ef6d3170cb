// The controller's side of the hosts' leases: what was granted, and whether a host may still act on
// it.
//
// Time. A lease counts from a moment that the agent itself has stamped on an event (its own boot
// clock), so it does not matter how late the grant arrives. The controller counts the same length
// from the moment at which it sends the grant (its own boot clock), which is later, and adds the
// margin. No clock is compared with another; only their rates matter: boot clocks of two machines
// differ by less than 0.05 % (NTP slews by at most 500 ppm), 30 ms in a lease of a minute. The rest
// of the margin is for the guard: it is woken late on a busy machine, and a killed process needs a
// moment to end. A machine that is stopped from outside (a paused virtual machine, whose boot clock
// stands still) is beyond this: see docs/decisions/0016-leases.md.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/kv/store.h"
#include "controller/state/tables.h"
#include "mtp/v1/agent.pb.h"
#include "mtp/v1/operation.pb.h"

namespace mtp::failover {

// Thread-safe. The arguments must outlive it.
class LeaseBook {
 public:
  struct Options {
    // How long a lease lasts. Default 60 s: an agent says something every 4 s, and a controller
    // that restarts is back before it ends. Longer than one poll of the Bot API (at most 50 s): a
    // poll that was open when the host was cut off is over at Telegram, too, before another copy
    // polls.
    absl::Duration lease = absl::Seconds(60);
    // Default 10 s.
    absl::Duration margin = absl::Seconds(10);
  };

  LeaseBook(kv::Store* store, const Clock* clock, Options options);

  // Before anything is granted; nothing counts as over until then. Twice changes nothing. An error
  // is the store's: later again. An earlier life may have granted longer leases than these: no
  // lease of any host counts as run out before they, too, have.
  absl::Status Open();

  // An event with that stamp has come from the host. What to grant it now, if it is time: it names
  // the tenants that are placed there at this moment. The lease counts as granted from now on,
  // whatever becomes of the message.
  std::optional<v1::GrantLeaseRequest> OnStamp(const std::string& host,
                                               const v1::LeaseStamp& stamp);

  // When the host was last heard; the beginning of this life when it was not.
  absl::Duration LastHeard(const std::string& host) const;
  // Whether a lease of that host, of this life or an earlier one, cannot be in force any more.
  bool IsOver(const std::string& host) const;
  // From when on that is so, on the controller's boot clock, if nothing more is granted; infinite
  // until Open.
  absl::Duration OverAt(const std::string& host) const;
  // Runs `act` with whether that is so, while no grant is made: what `act` commits is in every
  // later grant. `act` must not call this object.
  absl::StatusOr<v1::Operation> WhileNothingIsGranted(
      const std::string& host, absl::FunctionRef<absl::StatusOr<v1::Operation>(bool over)> act);

 private:
  struct Host {
    absl::Duration heard;
    std::optional<absl::Duration> granted;
    std::string instance;
  };

  bool IsOverLocked(const std::string& host) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration OverAtLocked(const std::string& host) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Remember(absl::Duration lease);
  void AddTenants(const std::string& host, v1::GrantLeaseRequest& request) const;

  kv::Store* const store_;
  const Tables tables_;
  const Clock* const clock_;
  const Options options_;
  const absl::Duration started_;

  mutable absl::Mutex mutex_;
  // Of this life or of an earlier one.
  absl::Duration longest_ ABSL_GUARDED_BY(mutex_);
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp::failover
