#include "agent/tenants/starting.h"

#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "common/base/status.h"

namespace mtp {

PhaseResult StartingScript::EnsureImage(PhaseContext& context) {
  auto record = tools_->journal->Tenant(name_);
  if (!record.ok()) return PhaseResult::Failed(record.status());
  const std::string& image = record->spec().image();
  auto details = tools_->engine->InspectImage(image);
  if (!absl::IsNotFound(details.status())) return PhaseResult::Of(details.status());

  context.progress(absl::StrCat("pulling image ", image));
  const absl::Status pulled = tools_->compose->PullOne(
      {name_.value(), RenderServiceStub(name_.value(), image)}, context.cancel);
  if (pulled.ok() || absl::IsCancelled(pulled) || absl::IsUnavailable(pulled)) {
    return PhaseResult::Of(pulled);
  }
  return PhaseResult::Failed(absl::FailedPreconditionError(
      absl::StrCat("image ", image, " is not on this host and cannot be pulled: ", pulled.message(),
                   ". Load it there with `docker load`, or name another image")));
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
  return PhaseResult::Of(
      Annotate(tools_->compose->UpOne(*service, context.cancel), "starting the container"));
}

PhaseResult StartingScript::WaitUntilReady(PhaseContext& context) {
  if (!wait_) {
    auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
    wait_.emplace(name_.Container(), *std::move(secrets), tools_->ready_limits, tools_->engine,
                  tools_->openclaw, tools_->clock);
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
