#include "agent/tenants/starting.h"

#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/tenants/images.h"
#include "agent/tenants/misnamed.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Of one start. One is the rule; more have another reason, which the error says.
constexpr int kMaxPortsRefused = 20;

}  // namespace

PhaseResult StartingScript::EnsureImage(PhaseContext& context) {
  auto record = tools_->journal->Tenant(name_);
  if (!record.ok()) return PhaseResult::Failed(record.status());
  // Before anything is stopped: one that may not be started now is left as it is.
  const absl::Status allowed = MayStartLeased(*tools_, *record);
  if (!allowed.ok()) return PhaseResult::Failed(allowed);
  return BringImage(*tools_, record->spec().image(), context);
}

PhaseResult StartingScript::WaitForSlot(PhaseContext& context) {
  const int ahead = ticket_.Ask(context.wake);
  if (ahead == 0) return PhaseResult::Done();
  context.progress(absl::StrCat("waiting for a start slot (", ahead, " ahead)"));
  return PhaseResult::WhenWoken();
}

// The port is this host's matter: when it is taken, by another program or by an engine that was
// killed while it started a container (28.2 then keeps it from everybody, itself included, until it
// is started once more), the tenant gets another one.
PhaseResult StartingScript::TakeNextPort(PhaseContext& context, const absl::Status& refused) {
  if (++ports_refused_ >= kMaxPortsRefused) return PhaseResult::Failed(refused);
  tools_->log.Warning(absl::StrCat("tenant ", name_.value(), ": ", refused.message()));
  context.progress("its port is taken on this host; taking another one");
  const absl::Status moved = tools_->journal->MoveToNextPort(name_);
  return moved.ok() ? PhaseResult::Again(absl::ZeroDuration()) : PhaseResult::Failed(moved);
}

PhaseResult StartingScript::BringUp(PhaseContext& context) {
  context.progress("starting the container");
  absl::Status written = tools_->writer->WriteAll();
  if (!written.ok()) return PhaseResult::Failed(written);
  auto service = tools_->writer->Tenant(name_);
  if (!service.ok()) return PhaseResult::Failed(service.status());
  auto record = tools_->journal->Tenant(name_);
  if (!record.ok()) return PhaseResult::Failed(record.status());
  absl::Status up = Annotate(Up(*record, *service, context.cancel), "starting the container");
  if (absl::IsAlreadyExists(up)) return TakeNextPort(context, up);
  (*context.result)["port"] = absl::StrCat(record->port());
  if (up.ok() && IsLeased(*record)) (*context.result)[kLeaseResult] = kLeaseBound;
  return PhaseResult::Of(up);
}

// The container's restart policy is no part of what Compose compares, so it can be changed without
// the container being made anew. On probation, and under the lease, it is off before the container
// starts for the first time; in any other start it is on, whatever an earlier one has left. The
// guard knows the container before it starts: whatever happens then, it ends with the lease.
absl::Status StartingScript::Up(const state::v1::AgentTenantRecord& record,
                                const ComposeService& service, const CancelToken* cancel) {
  const std::string container = name_.Container();
  MTP_RETURN_IF_ERROR(MayStartLeased(*tools_, record));
  MTP_RETURN_IF_ERROR(
      RemoveMisnamed(*tools_, name_.value(), container, absl::Seconds(kStopGraceSeconds), cancel));
  if (record.probation() || IsLeased(record)) {
    MTP_RETURN_IF_ERROR(tools_->compose->CreateOne(service, cancel));
    MTP_ASSIGN_OR_RETURN(const auto created, tools_->engine->InspectContainer(container));
    MTP_RETURN_IF_ERROR(SettleLease(*tools_, record, created));
    MTP_RETURN_IF_ERROR(MayStartLeased(*tools_, record));
    return tools_->compose->UpOne(service, cancel);
  }
  MTP_RETURN_IF_ERROR(tools_->compose->UpOne(service, cancel));
  MTP_ASSIGN_OR_RETURN(const auto details, tools_->engine->InspectContainer(container));
  return SettleLease(*tools_, record, details);
}

PhaseResult StartingScript::WaitUntilReady(PhaseContext& context) {
  if (!wait_) {
    auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
    auto record = tools_->journal->Tenant(name_);
    if (!record.ok()) return PhaseResult::Failed(record.status());
    ReadyLimits limits = tools_->ready_limits;
    // Neither is restarted by the engine.
    limits.once = record->probation() || IsLeased(*record);
    wait_.emplace(name_.Container(), *std::move(secrets), limits, tools_->engine, tools_->openclaw,
                  tools_->clock);
  }
  const ReadyWait::Look look = wait_->LookOnce();
  if (!look.status.ok()) {
    ticket_.Leave();
    return PhaseResult::Failed(look.status);
  }
  if (!look.ready) {
    context.progress(look.message);
    return PhaseResult::Again(look.delay);
  }
  ticket_.Leave();
  (*context.result)["container"] = name_.Container();
  if (wait_->container()) {
    (*context.result)["container_id"] = wait_->container()->id;
    (*context.result)["image_id"] = wait_->container()->image_id;
  }
  return PhaseResult::Done();
}

}  // namespace mtp
