#include "agent/tenants/idle_wait.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(2);
constexpr int kMaxUnanswered = 5;
constexpr char kActiveSessions[] = R"({"activeOnly":true,"limit":1})";

}  // namespace

absl::StatusOr<bool> ListsActiveSessions(absl::string_view json) {
  const auto answer = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("sessions") || !answer["sessions"].is_array()) {
    return absl::InternalError("the gateway's list of sessions cannot be read");
  }
  return !answer["sessions"].empty();
}

absl::StatusOr<bool> IdleWait::HasRunningTurn(PhaseContext& context) {
  auto details = tools_->engine->InspectContainer(name_.Container());
  if (absl::IsNotFound(details.status())) return false;
  if (!details.ok()) return details.status();
  if (details->state != ContainerState::kRunning) return false;
  MTP_ASSIGN_OR_RETURN(const auto secrets, tools_->journal->Secrets(name_));
  MTP_ASSIGN_OR_RETURN(
      const std::string answer,
      tools_->openclaw->Call({details->id, details->pid}, SecretString(secrets.gateway_token()),
                             "sessions.list", kActiveSessions, kGatewayTimeout, context.stop));
  return ListsActiveSessions(answer);
}

PhaseResult IdleWait::LookOnce(PhaseContext& context) {
  const absl::Duration now = tools_->clock->Monotonic();
  if (!begin_) begin_ = now;
  if (now - *begin_ >= bound_) return PhaseResult::Done();
  const auto running = HasRunningTurn(context);
  if (absl::IsCancelled(running.status())) return PhaseResult::Failed(running.status());
  if (running.ok()) {
    unanswered_ = 0;
    if (!*running) return PhaseResult::Done();
    context.progress("waiting until the running turn has ended");
  } else {
    const bool may_pass = absl::IsUnavailable(running.status()) ||
                          absl::IsDeadlineExceeded(running.status()) ||
                          absl::IsNotFound(running.status());
    if (!may_pass || ++unanswered_ >= kMaxUnanswered) {
      tools_->log.Warning(absl::StrCat("whether tenant ", name_.value(),
                                       " has a turn running cannot be told (",
                                       running.status().message(), "); stopping it"));
      return PhaseResult::Done();
    }
  }
  return PhaseResult::Again(kLookInterval);
}

}  // namespace mtp
