// Policies of backups: of tenants, and of the fleet for tenants without one of their own.
#pragma once

#include <absl/status/statusor.h>

#include "common/base/clock.h"
#include "controller/backups/repositories.h"
#include "controller/backups/tenant_schedule.h"
#include "controller/state/tables.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class Policies {
 public:
  Policies(kv::Store* store, const Repositories* repositories, const Clock* clock)
      : store_(store), tables_(store), repositories_(repositories), clock_(clock) {}

  // As it was asked for: what is unset stays unset. INVALID_ARGUMENT for a bad name, NOT_FOUND for
  // an unknown tenant.
  absl::StatusOr<v1::BackupPolicy> Get(const v1::GetBackupPolicyRequest& request) const;
  // As Get does after it. INVALID_ARGUMENT for a bad name, for a value out of range, and for the
  // fleet without a policy; NOT_FOUND for an unknown tenant or repository. A change of when backups
  // are due makes none due at once.
  absl::StatusOr<v1::BackupPolicy> Set(const v1::SetBackupPolicyRequest& request);

 private:
  absl::Status Check(const v1::BackupPolicy& policy) const;
  absl::Status PutPolicy(const v1::SetBackupPolicyRequest& request, const std::string& tenant);
  // Moments of the new policy that have passed are not due, except where one of the old policy was
  // missed.
  absl::Status Rebase(const v1::BackupPolicy& policy, const std::string& tenant);
  absl::StatusOr<v1::BackupPolicy> Show(const std::string& tenant) const;

  kv::Store* const store_;
  const Tables tables_;
  const Repositories* const repositories_;
  const Clock* const clock_;
};

}  // namespace mtp
