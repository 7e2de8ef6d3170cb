// Watches over hosts that are not heard: grants leases to those that are, places tenants of the
// lost ones elsewhere as the decision says, tells why others are left, and has old copies taken off
// once their hosts are back.
#pragma once

#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "controller/failover/failovers.h"
#include "controller/failover/lease_book.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"

namespace mtp::failover {

// It looks when something has happened that a decision depends on (a host is heard again or falls
// silent; hosts, tenants, backups, evictions or who holds them changes), at the moment at which a
// lease or the pause after a failure ends, and again after an error. While nothing happens it does
// nothing.
//
// Thread-safe. To be held by a shared_ptr; the arguments must outlive Stop.
class Keeper : public std::enable_shared_from_this<Keeper> {
 public:
  struct Options {
    // From what happens, the start or an error to the look at it, so that much at a time is one
    // look. Default 5 s.
    absl::Duration settle = absl::Seconds(5);
  };
  // Sends a grant, without waiting for its answer.
  using Send = std::function<void(const std::string& host, const v1::GrantLeaseRequest& request)>;

  Keeper(kv::Store* store, operations::Engine* engine, Failovers* failovers, LeaseBook* book,
         Observations* observations, const Clock* clock, Executor* executor, Send send, Log log,
         Options options);
  ~Keeper();

  // Opens the book of leases, and looks from then on. Called once.
  void Start();
  // Waits for a look that goes on. Nothing is done after it returns. Twice changes nothing.
  void Stop();

  // An event with that stamp has come from the host.
  void OnStamp(const std::string& host, const v1::LeaseStamp& stamp);

 private:
  struct Try {
    std::string operation;  // ULID of the newest one
    int failed = 0;
    absl::Duration not_before;
  };

  void LookSoon();
  // Asks to look at that time (monotonic), or earlier.
  void LookBy(absl::Duration time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The timer of that time is over.
  void Look(absl::Duration time);
  // How long it is until the next moment that may change the decision; infinite without any.
  absl::StatusOr<absl::Duration> LookThrough();
  // Hears of changes of the state from then on.
  absl::Status Follow();
  absl::StatusOr<std::vector<HostLife>> Hosts() const;
  absl::StatusOr<std::vector<Placed>> TenantsOf(const std::vector<HostLife>& hosts);
  absl::Status CarryOut(const Decision& decision);
  // Calls off what waits for a host that is lost, when it changes nothing there.
  absl::Status CallOff(const Held& held);
  void Tell(const std::vector<HostLife>& hosts, const Decision& decision);
  absl::Status Evict();
  // Of the controller's boot clock.
  absl::Duration NextMoment(const std::vector<HostLife>& hosts, absl::Duration now) const;
  // What became of the newest try.
  absl::Duration NotBefore(const std::string& tenant);
  void NoteFailure(const std::string& tenant, const std::string& why);

  kv::Store* const store_;
  const Tables tables_;
  operations::Engine* const engine_;
  Failovers* const failovers_;
  LeaseBook* const book_;
  Observations* const observations_;
  const Clock* const clock_;
  Executor* const executor_;
  const Send send_;
  const Log log_;
  const Options options_;
  std::shared_ptr<void> listening_;
  std::unique_ptr<kv::Watch> watch_;  // by Look alone, until Stop
  std::map<std::string, Try> tries_;  // by Look alone

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration look_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace mtp::failover
