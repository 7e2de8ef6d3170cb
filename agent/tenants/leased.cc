#include "agent/tenants/leased.h"

#include <absl/strings/str_cat.h>

#include "agent/lease/lease.h"
#include "common/base/names.h"
#include "common/base/status.h"

namespace mtp {

bool IsLeased(const state::v1::AgentTenantRecord& record) {
  return record.spec().failover_policy() == v1::FAILOVER_POLICY_FAILOVER;
}

const char* RestartPolicyFor(const state::v1::AgentTenantRecord& record) {
  return record.probation() || IsLeased(record) ? kNoRestart : kTenantRestartPolicy;
}

absl::Status MayStartLeased(const TenantTools& tools, const state::v1::AgentTenantRecord& record) {
  if (!IsLeased(record)) return absl::OkStatus();
  if (tools.lease == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", record.name(), " may fail over, and this host keeps no lease"));
  }
  return tools.lease->MayStart(record.name(), record.epoch());
}

absl::Status SettleLease(const TenantTools& tools, const state::v1::AgentTenantRecord& record,
                         const ContainerDetails& details) {
  if (tools.lease != nullptr) {
    MTP_RETURN_IF_ERROR(IsLeased(record) ? tools.lease->Cover(record.name(), details.id)
                                         : tools.lease->Release(record.name()));
  }
  const std::string wanted = RestartPolicyFor(record);
  // Of others only what this agent itself has turned off is turned on again.
  const bool as_it_should = wanted == kNoRestart ? details.restart_policy == kNoRestart
                                                 : details.restart_policy != kNoRestart;
  if (as_it_should) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(record.name()));
  return tools.engine->UpdateRestartPolicy(name.Container(), wanted);
}

}  // namespace mtp
