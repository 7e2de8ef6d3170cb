// Start, stop and restart of a tenant that is on this host.
#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/tenants/drain_watch.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/starting.h"
#include "agent/tenants/stopping.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kStartedBefore[] = "started_before";

class StartScript final : public StartingScript {
 public:
  StartScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())) {
    Add([this](PhaseContext&) {
      return PhaseResult::Of(tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_RUN));
    });
    Add([this](PhaseContext& context) { return EnsureImage(context); });
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return EndCrashLoop(context); });
    Add([this](PhaseContext& context) { return BringUp(context); });
    Add([this](PhaseContext& context) { return WaitUntilReady(context); });
  }

 private:
  // In a crash loop the engine waits up to a minute between its own starts; after a stop it starts
  // at once, so whether the tenant comes up is known within seconds.
  PhaseResult EndCrashLoop(PhaseContext& context) {
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok() || details->state != ContainerState::kRestarting) return PhaseResult::Done();
    return PhaseResult::Of(
        tools_->compose->StopOne({name_.value(), RenderServiceStub(name_.value())},
                                 absl::Seconds(kStopGraceSeconds), context.cancel));
  }
};

class StopScript final : public ActionScript {
 public:
  StopScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools), name_(*TenantName::Parse(request.tenant())) {
    // The policy first: nobody starts it again meanwhile.
    Add([this](PhaseContext&) {
      return PhaseResult::Of(tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_STOP));
    });
    Add([this](PhaseContext& context) { return StopContainer(*tools_, name_, context); });
    Add([this](PhaseContext& context) {
      (*context.result)["container"] = name_.Container();
      return PhaseResult::Of(ProveStopped(*tools_, name_));
    });
  }
  std::string DoneMessage() const override { return "stopped"; }

 private:
  TenantTools* const tools_;
  const TenantName name_;
};

class RestartScript final : public StartingScript {
 public:
  RestartScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())) {
    Add([this](PhaseContext& context) { return RememberStart(context); });
    Add([this](PhaseContext& context) { return EnsureImage(context); });
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Restart(context); });
    Add([this](PhaseContext& context) { return BringUp(context); });
    Add([this](PhaseContext& context) { return WaitUntilReady(context); });
  }

 private:
  std::string StartedAt() {
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok() || !details->HasProcesses() || !details->started_at) return "none";
    return absl::FormatTime(absl::RFC3339_full, *details->started_at, absl::UTCTimeZone());
  }

  // What ran before is written down first, so that a resumed action restarts no second time.
  PhaseResult RememberStart(PhaseContext& context) {
    absl::Status policy = tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_RUN);
    if (!policy.ok()) return PhaseResult::Failed(policy);
    if (context.result->count(kStartedBefore) > 0) return PhaseResult::Done();
    (*context.result)[kStartedBefore] = StartedAt();
    return PhaseResult::Of(context.save_result());
  }

  PhaseResult Restart(PhaseContext& context) {
    // When nothing ran, or a new start has been seen, all that is left is to bring it up.
    const std::string& before = (*context.result)[kStartedBefore];
    if (before == "none" || StartedAt() != before) return PhaseResult::Done();
    context.progress("restarting the container; a running turn may take up to 330 s");
    return PhaseResult::Of(
        tools_->compose->RestartOne({name_.value(), RenderServiceStub(name_.value())},
                                    absl::Seconds(kStopGraceSeconds), context.cancel));
  }
};

}  // namespace

std::unique_ptr<ActionScript> NewStartScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request) {
  return std::make_unique<StartScript>(tools, request);
}

std::unique_ptr<ActionScript> NewStopScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request) {
  return std::make_unique<StopScript>(tools, request);
}

std::unique_ptr<ActionScript> NewRestartScript(TenantTools* tools,
                                               const v1::EnsureActionRequest& request) {
  return std::make_unique<RestartScript>(tools, request);
}

}  // namespace mtp
