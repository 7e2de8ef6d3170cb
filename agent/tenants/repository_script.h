// The part that all actions on backups share: a place among them, the action's repository, and how
// long one that cannot be reached is asked again.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/names.h"
#include "common/restic/repository.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

class RepositoryScript : public ActionScript {
 protected:
  RepositoryScript(TenantTools* tools, const v1::EnsureActionRequest& request);

  // Each of them reads and writes all of a tenant.
  PhaseResult WaitForSlot(PhaseContext& context);
  // For a script that goes on with something else.
  void LeaveSlot() { ticket_.Leave(); }
  // The repository that the action came with, and the access to it.
  absl::StatusOr<std::unique_ptr<Repository>> OpenRepository() const;
  absl::StatusOr<v1::RepositoryAccess> Access() const;
  // What becomes of a phase whose use of the repository ended so: one that cannot be reached is
  // asked again for two minutes.
  PhaseResult Judge(const absl::Status& status, PhaseContext& context);

  TenantTools* const tools_;
  const v1::EnsureActionRequest request_;
  const TenantName name_;

 private:
  SlotTicket ticket_;
  std::optional<absl::Duration> away_since_;
};

RepositoryAccess ToAccess(const v1::RepositoryAccess& access);

}  // namespace mtp
