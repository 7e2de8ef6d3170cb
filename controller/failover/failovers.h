// Placing a tenant of a host that is not heard elsewhere: by an operator's word, or because the
// decision says so. Either makes an operation `restore` onto another host.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/kv/store.h"
#include "controller/failover/decide.h"
#include "controller/failover/lease_book.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "controller/tenants/tenants.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::failover {

// Who asks when nobody does.
inline constexpr char kByItself[] = "system/failover";

// Newest backup whose databases are all whole, of those that are of the tenant's present state: the
// one that it was restored from last and those made since. The newest of these when none is whole;
// an empty message without any. A state that was given up by a restore is not brought back, nor
// what an earlier tenant of that name, perhaps another client, has left.
v1::Backup LastGoodBackup(const Tables& tables, const state::v1::TenantRecord& tenant);

// Thread-safe. The arguments must outlive it.
class Failovers {
 public:
  Failovers(kv::Store* store, operations::Engine* engine, Tenants* tenants,
            const Observations* observations, LeaseBook* book)
      : tables_(store),
        engine_(engine),
        tenants_(tenants),
        observations_(observations),
        book_(book) {}

  // As TenantService.FailOverTenant; `caller` is the identity's name.
  absl::StatusOr<v1::Operation> FailOver(const std::string& caller,
                                         const v1::FailOverTenantRequest& request);
  // Carries a decision out if it still holds: FAILED_PRECONDITION when the host is back or may
  // still run the tenant. Otherwise errors as above.
  absl::StatusOr<v1::Operation> CarryOut(const Move& move);

 private:
  struct Wish {
    std::string caller;
    v1::FailOverTenantRequest request;
    std::string request_hash;
  };
  absl::StatusOr<v1::Operation> Try(const Wish& wish);
  absl::StatusOr<v1::Operation> Place(const Wish& wish,
                                      const kv::Row<state::v1::TenantRecord>& tenant,
                                      const v1::Backup& backup, bool lease_over);

  const Tables tables_;
  operations::Engine* const engine_;
  Tenants* const tenants_;
  const Observations* const observations_;
  LeaseBook* const book_;
};

}  // namespace mtp::failover
