// Taking a host out of the fleet: an empty one, or one that is gone for good with what is placed
// there.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/kv/store.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/host.pb.h"

namespace mtp::failover {

// Thread-safe. The arguments must outlive it.
//
// A host that has left does nothing any more: an action there is NOT_FOUND (AgentDirectory), so a
// step that waited for it fails and a compensation has nothing to undo there. Its tenants go with
// it, and operations on them end by themselves (tenants/gone.h). Only a tenant that is being
// restored there, away from another lost host, stays: the restore fails, and it is placed on that
// other host again.
class HostRemovals {
 public:
  HostRemovals(kv::Store* store, operations::Engine* engine, const Observations* observations)
      : store_(store), tables_(store), engine_(engine), observations_(observations) {}

  // As HostService.RemoveHost.
  absl::StatusOr<v1::RemoveHostResponse> Remove(const v1::RemoveHostRequest& request);

 private:
  struct Plan;
  absl::StatusOr<Plan> Decide(const std::string& host, bool lost) const;
  absl::Status CarryOut(const Plan& plan);

  kv::Store* const store_;
  const Tables tables_;
  operations::Engine* const engine_;
  const Observations* const observations_;
};

}  // namespace mtp::failover
