// Sees to it that no certificate of the fleet's programs ends: those of the hosts and the
// controller's own are renewed long before (docs/decisions/0014-renewal.md).
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/kv/store.h"
#include "controller/pki/authority.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Every minute, and every 10 s during a rotation, it looks through the hosts' records. What is
// begun is in the record before it is sent, so that it goes on after a crash, a lost answer, or
// when the host comes back.
//
// Thread-safe. To be held by a shared_ptr; the arguments must outlive Stop.
class TrustKeeper : public std::enable_shared_from_this<TrustKeeper> {
 public:
  struct Edges {
    // AgentService.ReplaceTrust on that host, within 10 s. UNAVAILABLE when it is not connected.
    std::function<absl::StatusOr<v1::HostTrust>(const std::string& host,
                                                const v1::ReplaceTrustRequest& request)>
        replace;
    // OK when the host, in a handshake of now, shows the certificate with that serial; UNAVAILABLE
    // when it shows another one. Within 10 s.
    std::function<absl::Status(const std::string& host, const std::string& serial)> shows;
    // Renews the controller's own certificate when it is due; otherwise does nothing.
    std::function<absl::Status()> renew_own;
  };

  TrustKeeper(kv::Store* store, const Authority* authority, const Observations* observations,
              const Clock* clock, Executor* executor, Edges edges, Log log);
  ~TrustKeeper();

  void Start();
  // Waits for what is under way. Nothing is done after it returns. Twice changes nothing.
  void Stop();

  // One look at everything, as it does by itself. At most one at a time.
  void Look();
  // Takes a host's renewal as far as it goes now; does nothing when none is due. UNAVAILABLE when
  // the host has not taken its new certificate up yet, or is away; ABORTED when its record was
  // changed meanwhile: later again. FAILED_PRECONDITION when it has one that nobody gave it.
  absl::Status Renew(const std::string& host);

 private:
  using HostRow = kv::Row<state::v1::HostRecord>;

  void RunAgain();
  // `authorities` are of the look's begin and tell only whether something is due: a renewal goes by
  // those of its own moment, since a rotation may go on meanwhile.
  absl::Status RenewIfDue(const std::string& host,
                          const absl::StatusOr<TrustedAuthorities>& authorities);
  absl::Status Commit(HostRow* row);
  // The next certificate is in the record afterwards, for the key of that request.
  absl::Status Prepare(HostRow* row, const std::string& csr_pem,
                       const TrustedAuthorities& authorities);
  // Tells, once, of what failed for the same reason three times in a row: a host takes some seconds
  // to take a certificate up.
  void Tell(const std::string& what, const absl::Status& status);

  kv::Store* const store_;
  const Tables tables_;
  const Authority* const authority_;
  const Observations* const observations_;
  const Clock* const clock_;
  Executor* const executor_;
  const Edges edges_;
  const Log log_;
  struct Failure {
    std::string why;
    int times = 0;
  };
  std::map<std::string, Failure> failures_;  // by Look alone

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace mtp
