// Operations on a tenant that is gone: it was taken off with a host that is gone for good
// (failover/host_removals.h). They have nothing left to do, and must not wait for what will never
// come.
#pragma once

#include "common/kv/store.h"
#include "controller/operations/engine.h"

namespace mtp {

// What is said of an operation whose tenant is gone.
enum class WhenGone {
  kFail,  // what was wanted of the tenant cannot be had any more
  kDone,  // that it is gone is what was wanted
};

// The same kind, of operations on tenants that have their record from the beginning: from the
// moment at which the record is gone, its steps end so and its compensations have nothing to undo.
// `store` must outlive the kind.
operations::Kind EndWithTenant(operations::Kind kind, WhenGone when_gone, const kv::Store* store);

}  // namespace mtp
