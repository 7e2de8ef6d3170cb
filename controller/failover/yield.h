// Operations that make way when the host on which they change a tenant is lost: the tenant is
// placed elsewhere in the middle of them. What they have begun there needs no way back: the old
// copy is taken off once that host is back (evict_kind.h). See docs/decisions/0016-leases.md.
#pragma once

#include <absl/strings/string_view.h>

#include "common/kv/store.h"
#include "controller/operations/engine.h"

namespace mtp::failover {

// Whether operations of this kind make way. Those that do not either leave the tenant as it is when
// they are called off, or are what somebody wants instead of the tenant's last backup (a restore, a
// removal).
bool Yields(absl::string_view kind);

// The same kind, whose steps wait while the operation that places the tenant elsewhere has borrowed
// its lock. When that has succeeded, a step fails and nothing is undone; when it has failed, the
// tenant is where it was and the steps go on. `store` must outlive the kind.
operations::Kind Yielding(operations::Kind kind, const kv::Store* store);

}  // namespace mtp::failover
