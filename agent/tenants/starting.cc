#include "agent/tenants/starting.h"

#include <absl/strings/str_cat.h>

#include "agent/tenants/images.h"
#include "common/base/status.h"

namespace mtp {

PhaseResult StartingScript::EnsureImage(PhaseContext& context) {
  auto record = tools_->journal->Tenant(name_);
  if (!record.ok()) return PhaseResult::Failed(record.status());
  return BringImage(*tools_, record->spec().image(), context);
}

PhaseResult StartingScript::WaitForSlot(PhaseContext& context) {
  const int ahead = ticket_.Ask();
  if (ahead == 0) return PhaseResult::Done();
  context.progress(absl::StrCat("waiting for a start slot (", ahead, " ahead)"));
  return PhaseResult::Again(absl::Milliseconds(200));
}

PhaseResult StartingScript::BringUp(PhaseContext& context) {
  context.progress("starting the container");
  absl::Status written = tools_->writer->WriteAll();
  if (!written.ok()) return PhaseResult::Failed(written);
  auto service = tools_->writer->Tenant(name_);
  if (!service.ok()) return PhaseResult::Failed(service.status());
  return PhaseResult::Of(Annotate(Up(*service, context.cancel), "starting the container"));
}

// The container's restart policy is no part of what Compose compares, so it can be changed without
// the container being made anew. On probation it is off before the container starts for the first
// time; in any other start it is on, whatever an earlier one has left.
absl::Status StartingScript::Up(const ComposeService& service, const CancelToken* cancel) {
  MTP_ASSIGN_OR_RETURN(const auto record, tools_->journal->Tenant(name_));
  const std::string container = name_.Container();
  if (record.probation()) {
    MTP_RETURN_IF_ERROR(tools_->compose->CreateOne(service, cancel));
    MTP_RETURN_IF_ERROR(tools_->engine->UpdateRestartPolicy(container, kNoRestart));
    return tools_->compose->UpOne(service, cancel);
  }
  MTP_RETURN_IF_ERROR(tools_->compose->UpOne(service, cancel));
  MTP_ASSIGN_OR_RETURN(const auto details, tools_->engine->InspectContainer(container));
  if (details.restart_policy != kNoRestart) return absl::OkStatus();
  return tools_->engine->UpdateRestartPolicy(container, kTenantRestartPolicy);
}

PhaseResult StartingScript::WaitUntilReady(PhaseContext& context) {
  if (!wait_) {
    auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
    auto record = tools_->journal->Tenant(name_);
    if (!record.ok()) return PhaseResult::Failed(record.status());
    ReadyLimits limits = tools_->ready_limits;
    limits.once = record->probation();
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
