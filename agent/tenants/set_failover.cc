// Set-failover: a tenant comes under the host's lease, or out of it, while it runs. Order: the
// journal, then the guard, then the engine's restart policy. Killed in between, a tenant that is to
// fail over is under the lease and may be restarted by the engine for a moment longer; nobody
// places it elsewhere before this has ended well.
#include <absl/strings/str_cat.h>

#include "agent/tenants/leased.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"
#include "common/base/words.h"

namespace mtp {
namespace {

class SetFailoverScript final : public ActionScript {
 public:
  SetFailoverScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        policy_(request.set_failover().policy()) {
    Add([this](PhaseContext&) { return PhaseResult::Of(CheckLease()); });
    Add([this](PhaseContext&) {
      return PhaseResult::Of(tools_->journal->SetFailoverPolicy(name_, policy_));
    });
    Add([this](PhaseContext&) { return PhaseResult::Of(Settle()); });
    Add([this](PhaseContext& context) {
      if (policy_ == v1::FAILOVER_POLICY_FAILOVER) (*context.result)[kLeaseResult] = kLeaseBound;
      if (tools_->refresh) tools_->refresh(name_.value());
      return PhaseResult::Done();
    });
  }
  std::string DoneMessage() const override {
    return absl::StrCat("on host loss: ", FailoverName(policy_));
  }

 private:
  // A tenant that is to fail over has to be one that might be started now.
  absl::Status CheckLease() {
    MTP_ASSIGN_OR_RETURN(auto record, tools_->journal->Tenant(name_));
    record.mutable_spec()->set_failover_policy(policy_);
    return MayStartLeased(*tools_, record);
  }

  absl::Status Settle() {
    MTP_ASSIGN_OR_RETURN(const auto record, tools_->journal->Tenant(name_));
    const auto details = tools_->engine->InspectContainer(name_.Container());
    // Without a container there is nothing that could run; its next start settles the rest.
    if (absl::IsNotFound(details.status())) return absl::OkStatus();
    if (!details.ok()) return details.status();
    return SettleLease(*tools_, record, *details);
  }

  TenantTools* const tools_;
  const TenantName name_;
  const v1::FailoverPolicy policy_;
};

}  // namespace

std::unique_ptr<ActionScript> NewSetFailoverScript(TenantTools* tools,
                                                   const v1::EnsureActionRequest& request) {
  return std::make_unique<SetFailoverScript>(tools, request);
}

}  // namespace mtp
