// The controller's tables over the store. Key layout and meaning: proto/mtp/state/v1/state.proto.
#pragma once

#include "common/kv/store.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Cheap to copy, thread-safe; the store must outlive it.
struct Tables {
  explicit Tables(const kv::Store* store)
      : tenants(store, "/tenants/"),
        hosts(store, "/hosts/"),
        allocations(store, "/allocations/"),
        bots(store, "/bots/"),
        env_prefixes(store, "/env-prefixes/"),
        epochs(store, "/epochs/"),
        secrets(store, "/secrets/"),
        next_secrets(store, "/next-secrets/"),
        operations(store, "/operations/"),
        locks(store, "/locks/"),
        backups(store, "/backups/"),
        left_snapshots(store, "/left-snapshots/"),
        repositories(store, "/repositories/"),
        policies(store, "/policies/"),
        schedules(store, "/schedules/"),
        rollouts(store, "/rollouts/"),
        evictions(store, "/evictions/") {}

  kv::Table<state::v1::TenantRecord> tenants;
  kv::Table<state::v1::HostRecord> hosts;
  kv::Table<state::v1::AllocationsRecord> allocations;
  kv::Table<state::v1::ClaimRecord> bots;
  kv::Table<state::v1::ClaimRecord> env_prefixes;
  kv::Table<state::v1::EpochRecord> epochs;
  kv::Table<state::v1::SecretsRecord> secrets;
  // While an operation changes them, by tenant.
  kv::Table<state::v1::SecretsRecord> next_secrets;
  kv::Table<state::v1::OperationRecord> operations;
  kv::Table<state::v1::LockRecord> locks;
  kv::Table<state::v1::BackupRecord> backups;
  // Of backups that are in no catalogue.
  kv::Table<state::v1::BackupRecord> left_snapshots;
  kv::Table<state::v1::RepositoryRecord> repositories;
  // `fleet`, `tenants/<name>`.
  kv::Table<state::v1::BackupPolicyRecord> policies;
  kv::Table<state::v1::ScheduleRecord> schedules;
  kv::Table<state::v1::RolloutRecord> rollouts;
  // `<host>/<tenant>` (EvictionId).
  kv::Table<state::v1::EvictionRecord> evictions;
};

// Key of an epoch in `epochs` that every name has had: set when a controller goes on from a copy of
// its state, which may not know names that were used since.
inline constexpr char kEveryName[] = "_every-name";

// Name of the lock that every mutating operation on a tenant holds.
inline std::string TenantLock(const std::string& tenant) { return "/locks/tenants/" + tenant; }
// Id of an eviction, and the lock of the operation that carries it out.
inline std::string EvictionId(const std::string& host, const std::string& tenant) {
  return host + "/" + tenant;
}
inline std::string EvictionLock(const std::string& host, const std::string& tenant) {
  return "/locks/evictions/" + EvictionId(host, tenant);
}
// Name of the lock that the one rollout of the fleet holds.
inline constexpr char kRolloutLock[] = "/locks/rollout";
// Name of the lock that an operation on a backup itself holds.
inline std::string BackupLock(const std::string& id) { return "/locks/backups/" + id; }
// Name of the lock that a check of a repository holds.
inline std::string RepositoryLock(const std::string& name) { return "/locks/repositories/" + name; }

}  // namespace mtp
