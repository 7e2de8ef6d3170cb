// The part that apply, start and restart share: an image, a start slot, Compose, and the wait.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/tenants/action_script.h"
#include "agent/tenants/leased.h"
#include "agent/tenants/tenant_tools.h"

namespace mtp {

class StartingScript : public ActionScript {
 public:
  std::string DoneMessage() const override { return "ready"; }

 protected:
  StartingScript(TenantTools* tools, TenantName name)
      : tools_(tools), name_(std::move(name)), ticket_(tools->starts, name_.value()) {}

  // Brings the tenant's image onto the host when it is not there.
  PhaseResult EnsureImage(PhaseContext& context);
  PhaseResult WaitForSlot(PhaseContext& context);
  // Files, then `compose up` of this one service, with another port where its own is taken. The
  // action's result has the `port`.
  PhaseResult BringUp(PhaseContext& context);
  // Gives the slot back when it ends.
  PhaseResult WaitUntilReady(PhaseContext& context);

  TenantTools* const tools_;
  const TenantName name_;

 private:
  absl::Status Up(const state::v1::AgentTenantRecord& record, const ComposeService& service,
                  const CancelToken* cancel);
  PhaseResult TakeNextPort(PhaseContext& context, const absl::Status& refused);

  int ports_refused_ = 0;
  SlotTicket ticket_;
  std::optional<ReadyWait> wait_;
};

}  // namespace mtp
