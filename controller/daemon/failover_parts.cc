#include "controller/daemon/failover_parts.h"

#include <absl/functional/bind_front.h>

namespace mtp {
namespace {

// Of a lease, that has to pass beside it (controller/failover/lease_book.h).
constexpr int kMarginPart = 6;

failover::LeaseBook::Options LeaseOptions(const ControllerSettings& settings) {
  failover::LeaseBook::Options options;
  options.lease = absl::Seconds(settings.lease_s);
  options.margin = options.lease / kMarginPart;
  return options;
}

}  // namespace

FailoverParts::FailoverParts(Foundation* base, WorkParts* work)
    : book(base->store.get(), &base->clock, LeaseOptions(base->settings)),
      failovers(base->store.get(), &work->engine, &work->tenants, &base->observations, &book),
      removals(base->store.get(), &work->engine, &base->observations),
      keeper(std::make_shared<failover::Keeper>(
          base->store.get(), &work->engine, &failovers, &book, &base->observations, &base->clock,
          &base->step_pool, absl::bind_front(&AgentSessions::GrantLease, &work->sessions),
          base->log.For("failover"), failover::Keeper::Options())) {}

}  // namespace mtp
