// Soak: a tenant that was started stays well for a while; then it is on probation no more.
//
// What nobody has watched is not known to have been well: an agent that died begins the time anew.
// The container's start is journaled, so an end that it slept through is seen all the same.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/openclaw/channels.h"
#include "agent/tenants/last_words.h"
#include "agent/tenants/redaction.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/starting.h"
#include "common/base/durations.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// A channel that meets its predecessor's long poll (409) is away for 34 s and comes back by itself
// (measured with 2026.9.6). One that is away for longer in all is not well: the time begins anew
// after each illness, so one that comes and goes never passes, and ends here.
constexpr absl::Duration kGrace = absl::Seconds(60);
constexpr absl::Duration kLookInterval = absl::Seconds(2);
constexpr char kSoakedStart[] = "soaked_start";
constexpr char kChannels[] = "channels.status";

class SoakScript final : public ActionScript {
 public:
  SoakScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        duration_(FromDuration(request.soak().duration())),
        failing_before_(request.soak().failing_before().begin(),
                        request.soak().failing_before().end()) {
    if (duration_ > absl::ZeroDuration()) {
      Add([this](PhaseContext& context) { return Watch(context); });
    }
    Add([this](PhaseContext&) { return EndProbation(); });
  }
  std::string DoneMessage() const override { return "stayed well"; }

 private:
  PhaseResult Ill(std::string why) {
    const auto secrets = tools_->journal->Secrets(name_);
    return PhaseResult::Failed(absl::FailedPreconditionError(
        secrets.ok() ? WithLastWords(std::move(why), *tools_->engine, name_.Container(), *secrets)
                     : why));
  }

  // Which start of which container is being watched.
  static std::string StartOf(const ContainerDetails& details) {
    return absl::StrCat(
        details.id, " ",
        absl::FormatTime(absl::RFC3339_full, details.started_at.value_or(absl::UnixEpoch()),
                         absl::UTCTimeZone()));
  }

  PhaseResult Watch(PhaseContext& context) {
    const absl::Duration now = tools_->clock->Monotonic();
    if (!begin_) begin_ = now;
    const auto details = tools_->engine->InspectContainer(name_.Container());
    if (absl::IsNotFound(details.status())) return Ill("its container is gone");
    if (!details.ok()) return PhaseResult::Failed(details.status());
    if (!details->HasProcesses()) {
      return Ill(
          absl::StrCat("the container ended after it had been ready (", HowItEnded(*details), ")"));
    }
    std::string& watched = (*context.result)[kSoakedStart];
    if (watched.empty()) {
      watched = StartOf(*details);
      const absl::Status saved = context.save_result();
      if (!saved.ok()) return PhaseResult::Failed(saved);
    }
    if (watched != StartOf(*details)) {
      return Ill("the container ended after it had been ready, and was started again");
    }
    const std::string failing = WhatFails(*details, context);
    if (failing.empty()) {
      if (ill_since_) {
        ill_before_ += now - *std::exchange(ill_since_, std::nullopt);
        begin_ = now;
      }
      if (now - *begin_ >= duration_) return PhaseResult::Done();
    } else {
      if (!ill_since_) ill_since_ = now;
      if (ill_before_ + (now - *ill_since_) >= kGrace) {
        return Ill(
            absl::StrCat("it was ready, and then not any more for ", absl::FormatDuration(kGrace),
                         ill_before_ > absl::ZeroDuration() ? " in all (" : " (", failing, ")"));
      }
    }
    context.progress(failing.empty() ? absl::StrCat("seeing whether it stays well for ",
                                                    absl::FormatDuration(duration_))
                                     : absl::StrCat("not well at the moment: ", failing));
    return PhaseResult::Again(std::min(kLookInterval, NextMoment(now)));
  }

  bool FailedBefore(const std::string& part) const { return failing_before_.count(part) > 0; }

  bool IsReadyAsBefore(const ProbeResult& probe) const {
    return probe.ready || (probe.live && !probe.failing.empty() &&
                           std::all_of(probe.failing.begin(), probe.failing.end(),
                                       [this](const auto& part) { return FailedBefore(part); }));
  }

  // Empty when it is ready and its channels are connected, as far as they were before.
  std::string WhatFails(const ContainerDetails& details, PhaseContext& context) {
    const auto probe = tools_->openclaw->Probe({details.id, details.pid}, kGatewayTimeout);
    if (!probe.ok()) return std::string(probe.status().message());
    return IsReadyAsBefore(*probe) ? WhichChannelFails(details, context) : probe->message;
  }

  std::string WhichChannelFails(const ContainerDetails& details, PhaseContext& context) {
    const auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return std::string(secrets.status().message());
    const auto answer =
        tools_->openclaw->Call({details.id, details.pid}, SecretString(secrets->gateway_token()),
                               kChannels, "{}", kGatewayTimeout, context.stop);
    if (absl::IsCancelled(answer.status())) return "";
    if (absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status()))
      return std::string(answer.status().message());
    const auto lost = answer.ok() ? LostChannels(*answer) : answer.status();
    if (lost.ok()) {
      const auto newly = std::find_if(lost->begin(), lost->end(), [this](const LostChannel& one) {
        return !FailedBefore(one.channel);
      });
      return newly == lost->end() ? "" : RedactSecrets(newly->why, *secrets);
    }
    // An OpenClaw that knows no such question: the probe's word has to do.
    if (!std::exchange(untold_, true)) {
      tools_->log.Warning(
          absl::StrCat("whether the channels of tenant ", name_.value(),
                       " are connected cannot be told: ", std::string(lost.status().message())));
    }
    return "";
  }

  // Until the soak, or the patience with an illness, is over.
  absl::Duration NextMoment(absl::Duration now) const {
    const absl::Duration moment =
        ill_since_ ? *ill_since_ + kGrace - ill_before_ : *begin_ + duration_;
    return std::max(moment - now, absl::Milliseconds(10));
  }

  PhaseResult EndProbation() {
    const auto record = tools_->journal->Tenant(name_);
    if (!record.ok()) return PhaseResult::Failed(record.status());
    const absl::Status updated = tools_->engine->UpdateRestartPolicy(
        name_.Container(), IsLeased(*record) ? kNoRestart : kTenantRestartPolicy);
    // Without a container there is nothing that the engine could restart.
    if (!updated.ok() && !absl::IsNotFound(updated)) return PhaseResult::Failed(updated);
    const absl::Status ended = tools_->journal->EndProbation(name_);
    if (ended.ok() && tools_->refresh) tools_->refresh(name_.value());
    return PhaseResult::Of(ended);
  }

  TenantTools* const tools_;
  const TenantName name_;
  const absl::Duration duration_;
  const std::set<std::string> failing_before_;
  std::optional<absl::Duration> begin_;  // of being well
  std::optional<absl::Duration> ill_since_;
  absl::Duration ill_before_;  // all illnesses that are over
  bool untold_ = false;        // it cannot say how its channels are
};

}  // namespace

std::unique_ptr<ActionScript> NewSoakScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request) {
  return std::make_unique<SoakScript>(tools, request);
}

}  // namespace mtp
