// Start, stop and restart of a tenant that is on this host.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/compose/render.h"
#include "agent/tenants/drain_watch.h"
#include "agent/tenants/idle_wait.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/starting.h"
#include "agent/tenants/stopping.h"
#include "common/base/durations.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kStartedBefore[] = "started_before";
constexpr char kStopping[] = "stopping";
constexpr char kFailing[] = "failing";

// In a crash loop the engine waits up to a minute between its own starts; after a stop it starts at
// once, so whether the tenant comes up is known within seconds.
PhaseResult EndCrashLoop(TenantTools& tools, const TenantName& name, PhaseContext& context) {
  auto details = tools.engine->InspectContainer(name.Container());
  if (!details.ok() || details->state != ContainerState::kRestarting) return PhaseResult::Done();
  return PhaseResult::Of(tools.compose->StopOne({name.value(), RenderServiceStub(name.value())},
                                                absl::Seconds(kStopGraceSeconds), context.cancel));
}

class StartScript final : public StartingScript {
 public:
  StartScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())) {
    Add([this](PhaseContext&) {
      return PhaseResult::Of(tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_RUN));
    });
    Add([this](PhaseContext& context) { return EnsureImage(context); });
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return EndCrashLoop(*tools_, name_, context); });
    Add([this](PhaseContext& context) { return BringUp(context); });
    Add([this](PhaseContext& context) { return WaitUntilReady(context); });
  }
};

class StopScript final : public ActionScript {
 public:
  StopScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        idle_(tools, name_, FromDuration(request.stop().idle_wait())) {
    // Before anything is changed: cancelled meanwhile, it is as it was.
    Add([this](PhaseContext& context) { return idle_.LookOnce(context); });
    if (request.stop().has_idle_wait()) {
      Add([this](PhaseContext& context) { return NoteStopping(context); });
    }
    // The policy first: nobody starts it again meanwhile.
    Add([this](PhaseContext&) {
      return PhaseResult::Of(tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_STOP));
    });
    Add([this](PhaseContext& context) { return StopContainer(*tools_, name_, context); });
    Add([this](PhaseContext& context) {
      (*context.result)["container"] = name_.Container();
      NoteAbsence(context);
      return PhaseResult::Of(ProveStopped(*tools_, name_));
    });
  }
  std::string DoneMessage() const override { return "stopped"; }

 private:
  // From here on it is stopped, whatever becomes of the action.
  PhaseResult NoteStopping(PhaseContext& context) {
    auto& result = *context.result;
    if (result.count(kStopping) > 0) return PhaseResult::Done();
    if (const std::string failing = WhatFails(); !failing.empty()) result[kFailing] = failing;
    result[kStopping] = "true";
    return PhaseResult::Of(context.save_result());
  }

  // Empty when it is ready, and when it cannot be told.
  std::string WhatFails() {
    const auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok() || !details->HasProcesses()) return "";
    const auto probe = tools_->openclaw->Probe({details->id, details->pid}, kGatewayTimeout);
    if (!probe.ok() || probe->ready) return "";
    std::vector<std::string> parts = probe->failing;
    // A name with a comma would be read as two.
    parts.erase(std::remove_if(parts.begin(), parts.end(),
                               [](const auto& part) { return absl::StrContains(part, ','); }),
                parts.end());
    return absl::StrJoin(parts, ",");
  }

  // Somebody has taken everything of it by hand: who wants it removed has nothing to back up.
  void NoteAbsence(PhaseContext& context) {
    if (tools_->data->Exists(name_.value())) return;
    if (!absl::IsNotFound(tools_->engine->InspectContainer(name_.Container()).status())) return;
    (*context.result)["absent"] = "true";
  }

  TenantTools* const tools_;
  const TenantName name_;
  IdleWait idle_;
};

class RestartScript final : public StartingScript {
 public:
  RestartScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())) {
    Add([this](PhaseContext& context) { return RememberStart(context); });
    Add([this](PhaseContext& context) { return EnsureImage(context); });
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return EndCrashLoop(*tools_, name_, context); });
    Add([this](PhaseContext& context) { return Stop(context); });
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

  // A stop, and then the start that every script has: a container whose settings changed while it
  // ran is made anew then, and would be started twice by a restart.
  PhaseResult Stop(PhaseContext& context) {
    // When nothing ran, or a new start has been seen, all that is left is to bring it up.
    const std::string& before = (*context.result)[kStartedBefore];
    if (before == "none" || StartedAt() != before) return PhaseResult::Done();
    return StopContainer(*tools_, name_, context);
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
