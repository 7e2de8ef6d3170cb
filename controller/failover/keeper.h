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

// Thread-safe. To be held by a shared_ptr; the arguments must outlive Stop.
class Keeper : public std::enable_shared_from_this<Keeper> {
 public:
  struct Options {
    // Between two looks. Default 5 s.
    absl::Duration interval = absl::Seconds(5);
  };
  // Sends a grant, without waiting for its answer.
  using Send = std::function<void(const std::string& host, const v1::GrantLeaseRequest& request)>;

  Keeper(kv::Store* store, operations::Engine* engine, Failovers* failovers, LeaseBook* book,
         Observations* observations, const Clock* clock, Executor* executor, Send send, Log log,
         Options options);
  ~Keeper();

  // Opens the book of leases, and looks from then on.
  void Start();
  // Waits for a look that goes on. Nothing is done after it returns. Twice changes nothing.
  void Stop();

  // An event with that stamp has come from the host.
  void OnStamp(const std::string& host, const v1::LeaseStamp& stamp);
  // One look, as each interval. At most one at a time.
  void Look();

 private:
  struct Try {
    std::string operation;  // ULID of the newest one
    int failed = 0;
    absl::Duration not_before;
  };

  void RunAgain();
  absl::Status LookThrough();
  absl::StatusOr<std::vector<HostLife>> Hosts() const;
  absl::StatusOr<std::vector<Placed>> TenantsOf(const std::vector<HostLife>& hosts);
  void CarryOut(const Decision& decision);
  // Calls off what waits for a host that is lost, when it changes nothing there.
  void CallOff(const Held& held);
  void Tell(const std::vector<HostLife>& hosts, const Decision& decision);
  absl::Status Evict();
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
  std::map<std::string, Try> tries_;  // by Look alone

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace mtp::failover
