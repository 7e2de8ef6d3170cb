// What the agent must remember across its own death: tenants, their secrets (sealed), actions and
// the highest epoch ever seen of each name. Everything in the project folder is rendered from it.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "common/base/secret_string.h"
#include "common/kv/store.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {

// Thread-safe. Errors of the store (RESOURCE_EXHAUSTED for a full disk, INTERNAL) pass through;
// nothing was changed then.
class Journal {
 public:
  // Both must outlive it. Only this object may write to the store.
  Journal(kv::Store* store, const SecretBox* box);

  // NOT_FOUND when the tenant is not on this host.
  absl::StatusOr<state::v1::AgentTenantRecord> Tenant(const TenantName& name) const;
  // By name.
  absl::StatusOr<std::vector<state::v1::AgentTenantRecord>> Tenants() const;
  // NOT_FOUND when there is none; DATA_LOSS when they cannot be opened.
  absl::StatusOr<v1::TenantSecrets> Secrets(const TenantName& name) const;

  struct TenantChange {
    int64_t epoch = 0;
    v1::TenantSpec spec;
    int port = 0;
    v1::TenantSecrets secrets;
    // How many networks the pool has; the first free one from 1 goes to a new tenant.
    int subnets = 0;
    bool probation = false;
    // It stays stopped.
    bool stopped = false;
  };
  // Puts a tenant, meant to run unless it is to stay stopped; keeps the network, the port and the
  // last backup of one that is there. A new one gets the port that is asked for, or the next one
  // that no other tenant here has. FAILED_PRECONDITION when another tenant here has the prefix of
  // `.env`, RESOURCE_EXHAUSTED when no network or port is free.
  absl::StatusOr<state::v1::AgentTenantRecord> PutTenant(const TenantName& name,
                                                         const TenantChange& change);
  // Gives the tenant the next port above its own that no other tenant here has.
  // RESOURCE_EXHAUSTED when there is none.
  absl::Status MoveToNextPort(const TenantName& name);
  // NOT_FOUND when the tenant is not on this host. One that is set to run is on probation no more;
  // it is parked no more, either way.
  absl::Status SetRunPolicy(const TenantName& name, v1::RunPolicy policy);
  absl::Status EndProbation(const TenantName& name);
  absl::Status SetLastBackup(const TenantName& name, absl::Time time);
  // NOT_FOUND when the tenant is not on this host, here and below.
  absl::Status SetFailoverPolicy(const TenantName& name, v1::FailoverPolicy policy);
  absl::Status SetMemoryLimit(const TenantName& name, int64_t limit_mib);
  // The tenant ended again and again: it is not started until its run policy is set anew or it is
  // put anew. `last_lines` holds no secret.
  absl::Status Park(const TenantName& name, const std::string& reason,
                    const std::vector<std::string>& last_lines);
  absl::Status Unpark(const TenantName& name);
  // What is known of the ends of a tenant's container (crash_history.h); empty when nothing is.
  std::string CrashHistoryText(const TenantName& name) const;
  absl::Status SetCrashHistoryText(const TenantName& name, const std::string& text);
  // Forgets the tenant and its secrets; its epoch stays. Absent is OK.
  absl::Status RemoveTenant(const TenantName& name);

  // 0 for a name that was never seen.
  int64_t HighestEpoch(const TenantName& name) const;

  // NOT_FOUND when the key was never used or is no longer kept.
  absl::StatusOr<state::v1::AgentActionRecord> Action(const std::string& key) const;
  absl::StatusOr<std::vector<state::v1::AgentActionRecord>> Actions() const;
  // Records a new action, raises the tenant's epoch to the request's, and keeps the secrets of
  // `request` sealed until the action ends. The record's own request must hold none.
  // FAILED_PRECONDITION when the epoch is below the highest seen; ALREADY_EXISTS for a known key.
  absl::Status BeginAction(const state::v1::AgentActionRecord& record,
                           const v1::EnsureActionRequest& request);
  // Replaces the record of a running action.
  absl::Status SaveAction(const state::v1::AgentActionRecord& record);
  // Records the end and forgets the action's own secrets.
  absl::Status EndAction(const state::v1::AgentActionRecord& record);
  // Secrets that the action came with. NOT_FOUND when it had none.
  absl::StatusOr<v1::TenantSecrets> ActionSecrets(const std::string& key) const;
  // Access to the repository that the action came with. NOT_FOUND when it had none.
  absl::StatusOr<v1::RepositoryAccess> ActionRepository(const std::string& key) const;
  // Forgets actions that ended more than 7 days before `now`, and the oldest ended ones beyond
  // 10,000.
  absl::Status TrimActions(absl::Time now);

  // The admin instance's gateway token: 64 hexadecimal digits, made at the first call.
  absl::StatusOr<SecretString> AdminGatewayToken(Random& random);

  // SHA-256 of the configuration template and image that a tenant's OpenClaw has accepted.
  bool IsConfigAccepted(const std::string& hash) const;
  absl::Status SetConfigAccepted(const std::string& hash);

 private:
  absl::Status Open(const std::string& key, google::protobuf::MessageLite* message) const;
  absl::StatusOr<v1::TenantSecrets> OpenSecrets(const std::string& key) const;
  std::string Seal(const std::string& key, const google::protobuf::MessageLite& message) const;
  // Journals the record when `change` says that it has changed it.
  absl::Status Change(
      const TenantName& name,
      const std::function<absl::StatusOr<bool>(state::v1::AgentTenantRecord&)>& change)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RaiseEpoch(const v1::EnsureActionRequest& request, kv::Txn& txn)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Commit(const kv::Txn& txn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  kv::Store* const store_;
  const SecretBox* const box_;
  const kv::Table<state::v1::AgentTenantRecord> tenants_;
  const kv::Table<state::v1::AgentActionRecord> actions_;
  const kv::Table<state::v1::EpochRecord> epochs_;
  // Held while something is read in order to be changed.
  mutable absl::Mutex mutex_;
};

// The request without its secrets, as it is journaled.
v1::EnsureActionRequest WithoutSecrets(const v1::EnsureActionRequest& request);
// SHA-256 of the whole request, its secrets included.
std::string RequestHash(const v1::EnsureActionRequest& request);

}  // namespace mtp
