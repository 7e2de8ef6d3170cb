// What a tenant holds in the fleet besides its record: reservation, env prefix, bot, secrets. Taken
// in one transaction and released in one.
#pragma once

#include <absl/status/statusor.h>

#include "common/base/secret_box.h"
#include "controller/state/tables.h"
#include "mtp/state/v1/state.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// Adds to `txn` all that makes the tenant exist, guarded so that the commit is ABORTED when any of
// it was taken, or the host's reservations or record changed, since `tables` was read. `host` is
// the host's row as the decision saw it.
absl::Status TakeClaims(const Tables& tables, const state::v1::TenantRecord& tenant,
                        const kv::Row<state::v1::HostRecord>& host,
                        const std::string& env_prefix_key, const std::string& sealed_secrets,
                        kv::Txn& txn);

// Adds to `txn` that the tenant reserves `memory_mib` on its host, with the anti-affinity of its
// spec as given; guarded as above. NOT_FOUND when it reserves nothing there.
absl::Status ChangeReservation(const Tables& tables, const state::v1::TenantRecord& tenant,
                               int64_t memory_mib, kv::Txn& txn);

// Adds to `txn` that the tenant, as `before` is in the store, is placed as `after` says: on another
// host, with a higher epoch. It reserves on both hosts from then on, until ReleaseOn: whoever takes
// that back finds its old place free. Guarded as above; `host` is the new host's row.
absl::Status MoveClaims(const Tables& tables, const kv::Row<state::v1::TenantRecord>& before,
                        const state::v1::TenantRecord& after,
                        const kv::Row<state::v1::HostRecord>& host, kv::Txn& txn);

// Adds to `txn` that the tenant reserves nothing on that host any more; nothing when it does not.
absl::Status ReleaseOn(const Tables& tables, const std::string& tenant, const std::string& host,
                       kv::Txn& txn);

// The epoch of the next placement of that name: higher than any that it has had.
int64_t NextEpoch(const Tables& tables, const std::string& tenant);

// Adds to `txn` that the name has had that epoch; guarded as above.
absl::Status RaiseEpoch(const Tables& tables, const std::string& tenant, int64_t epoch,
                        kv::Txn& txn);

// ALREADY_EXISTS when another tenant has that bot, with what to do about it.
absl::Status CheckBotFree(const Tables& tables, const std::string& tenant,
                          const std::string& fingerprint);

// Adds to `txn` that the tenant has that bot, besides those that it has; guarded as above. Check
// before.
absl::Status TakeBot(const Tables& tables, const std::string& tenant,
                     const std::string& fingerprint, kv::Txn& txn);

// Adds to `txn` that the tenant has no bot but that one, which it has already; empty means none.
absl::Status KeepOnlyBot(const Tables& tables, const std::string& tenant,
                         const std::string& fingerprint, kv::Txn& txn);

// Adds to `txn` all that makes the tenant cease to exist; nothing when there is no such tenant. Its
// epoch stays.
absl::Status ReleaseClaims(const Tables& tables, const std::string& tenant, kv::Txn& txn);

// The same without what it reserves on its host: fewer than ten changes, guarded as above.
absl::Status ForgetTenant(const Tables& tables, const kv::Row<state::v1::TenantRecord>& tenant,
                          kv::Txn& txn);

// Takes what the tenant reserves out of the record; false when that is nothing.
bool DropAllocation(const std::string& tenant, state::v1::AllocationsRecord& record);

// Fingerprint of a bot, keyed so that the store does not tell which bot it is. Bots are told apart
// by the number before the colon: a token that BotFather renewed is still the same bot.
std::string BotFingerprint(const std::string& key, absl::string_view telegram_token);

// `key=value` of the tenant's anti-affinity label; empty without.
std::string AntiAffinityOf(const v1::TenantSpec& spec);

}  // namespace mtp
