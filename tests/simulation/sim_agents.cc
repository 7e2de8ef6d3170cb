#include "tests/simulation/sim_agents.h"

#include <absl/strings/match.h>

#include <algorithm>

#include "common/base/status.h"

namespace mtp::simulation {
namespace {

absl::Status Unreachable(const std::string& host) {
  return absl::UnavailableError(absl::StrCat(host, " is not connected"));
}

}  // namespace

// Undoing ends well at last: a plain one at once, the way back of an update and of a
// reconfiguration within three tries.
bool SimAgents::MayFail(const v1::EnsureActionRequest& request) {
  const std::string& key = request.key();
  if (!absl::StrContains(key, "/undo")) return true;
  if (request.has_restore()) return true;
  return (request.has_apply() || request.has_reconfigure()) && !absl::EndsWith(key, "/undo/3");
}

bool SimAgents::Reachable(const Host& host) const {
  const absl::Duration now = clock_->Monotonic();
  return now >= host.cut_until && now >= host.dead_until;
}

absl::StatusOr<v1::Action> SimAgents::EnsureAction(const std::string& host,
                                                   const v1::EnsureActionRequest& request) {
  Host& at = hosts_.at(host);
  if (!Reachable(at) || random_->Chance(faults_->lost_request)) return Unreachable(host);
  absl::StatusOr<v1::Action> answer = Begin(host, at, request);
  if (random_->Chance(faults_->lost_reply)) return Unreachable(host);
  return answer;
}

absl::StatusOr<v1::Action> SimAgents::Begin(const std::string& name, Host& host,
                                            const v1::EnsureActionRequest& request) {
  const std::string& key = request.key();
  const std::string bytes = request.SerializeAsString();
  const auto known = host.actions.find(key);
  const bool again = plant_ == Plant::kActionStartedTwice && known != host.actions.end() &&
                     known->second.action.state() == v1::ACTION_STATE_DONE;
  if (known != host.actions.end() && !again) {
    if (known->second.request != bytes) {
      complaints_.push_back(absl::StrCat("key ", key, " is used for another action"));
      return absl::InvalidArgumentError("the key was used for another action");
    }
    return known->second.action;
  }
  if (request.epoch() < host.epochs[request.tenant()]) {
    return absl::FailedPreconditionError("a late command of an older decision");
  }
  if (host.busy.count(request.tenant()) > 0) {
    return absl::AbortedError("another action on the tenant runs");
  }
  host.epochs[request.tenant()] = request.epoch();
  SimAction& action = host.actions[key];
  action.request = bytes;
  action.action.set_key(key);
  action.action.set_tenant(request.tenant());
  action.action.set_state(v1::ACTION_STATE_RUNNING);
  action.fails = MayFail(request) && random_->Chance(faults_->failing_action);
  // Any number of actions about the host itself run at the same time.
  if (!request.tenant().empty()) host.busy[request.tenant()] = key;
  trace_->Add("agent ", name, " begins ", key);
  const v1::Action as_begun = action.action;
  if (random_->Chance(250)) {
    // The end overtakes the answer: its event arrives while the caller still waits for the reply.
    action.life = host.life;
    Finish(name, key, host.life);
    return as_begun;
  }
  action.left = absl::Milliseconds(50) * static_cast<int64_t>(uint64_t{1} << random_->Below(12));
  StartTimer(name, host, action);
  // It may have acted already when it fails, is cancelled or its agent dies.
  if (random_->Chance(500)) Affect(name, action, v1::ACTION_STATE_RUNNING);
  return as_begun;
}

void SimAgents::StartTimer(const std::string& name, Host& host, SimAction& action) {
  action.life = host.life;
  action.ends = clock_->Monotonic() + action.left;
  executor_->PostAfter(action.left, [this, name, key = action.action.key(), life = host.life] {
    Finish(name, key, life);
  });
}

void SimAgents::Finish(const std::string& name, const std::string& key, uint64_t life) {
  Host& host = hosts_.at(name);
  SimAction& action = host.actions.at(key);
  // The agent that ran it has died meanwhile; the next one resumes it.
  if (host.life != life || action.life != life) return;
  if (action.action.state() != v1::ACTION_STATE_RUNNING) return;
  if (Postpone(name, host, action)) return;
  host.busy.erase(action.action.tenant());
  if (action.cancel && random_->Chance(800)) {
    action.action.set_state(v1::ACTION_STATE_CANCELLED);
    *action.action.mutable_error() = ToError(absl::CancelledError("cancelled"));
  } else if (const absl::Status outcome = Outcome(name, action); !outcome.ok()) {
    action.action.set_state(v1::ACTION_STATE_FAILED);
    *action.action.mutable_error() = ToError(outcome);
  } else {
    action.action.set_state(v1::ACTION_STATE_DONE);
    ++effects_[key];
    order_.push_back(key);
  }
  Affect(name, action, action.action.state());
  trace_->Add("agent ", name, " ends ", key, " ", static_cast<int>(action.action.state()));
  Tell(host, action.action);
}

bool SimAgents::Postpone(const std::string& name, Host& host, SimAction& action) {
  constexpr int kMost = 60;
  if (!postpone || action.cancel || action.postponed == kMost) return false;
  v1::EnsureActionRequest request;
  request.ParseFromString(action.request);
  const absl::Duration delay = postpone(name, request);
  if (delay == absl::ZeroDuration()) return false;
  ++action.postponed;
  action.left = delay;
  StartTimer(name, host, action);
  return true;
}

absl::Status SimAgents::Outcome(const std::string& name, const SimAction& action) const {
  if (action.fails) return absl::InternalError("the engine refused");
  if (!refusal) return absl::OkStatus();
  v1::EnsureActionRequest request;
  request.ParseFromString(action.request);
  return refusal(name, request);
}

void SimAgents::Affect(const std::string& name, SimAction& action, v1::ActionState state) {
  if (!on_effect) return;
  v1::EnsureActionRequest request;
  request.ParseFromString(action.request);
  on_effect(name, request, state, action.action);
}

void SimAgents::TellReachable(const std::string& name, absl::Duration away) {
  if (!on_reachable) return;
  on_reachable(name, false);
  executor_->PostAfter(away, [this, name] {
    if (Reachable(hosts_.at(name))) on_reachable(name, true);
  });
}

void SimAgents::Tell(const Host& host, const v1::Action& action) {
  if (!on_action || !Reachable(host) || random_->Chance(faults_->lost_event)) return;
  on_action(action);
}

absl::StatusOr<v1::Action> SimAgents::CancelAction(const std::string& host,
                                                   const std::string& key) {
  Host& at = hosts_.at(host);
  if (!Reachable(at) || random_->Chance(faults_->lost_request)) return Unreachable(host);
  const auto found = at.actions.find(key);
  if (found == at.actions.end()) return absl::NotFoundError("no such action");
  SimAction& action = found->second;
  if (action.action.state() == v1::ACTION_STATE_RUNNING && !action.cancel) {
    action.cancel = true;
    action.left = absl::Milliseconds(200);
    StartTimer(host, at, action);
  }
  if (random_->Chance(faults_->lost_reply)) return Unreachable(host);
  return action.action;
}

void SimAgents::Cut(const std::string& host, absl::Duration duration) {
  hosts_.at(host).cut_until = clock_->Monotonic() + duration;
  trace_->Add("cut ", host);
  TellReachable(host, duration);
}

void SimAgents::Kill(const std::string& host, absl::Duration duration) {
  Host& at = hosts_.at(host);
  if (clock_->Monotonic() < at.dead_until) return;
  trace_->Add("kill ", host);
  ++at.life;
  at.dead_until = clock_->Monotonic() + duration;
  TellReachable(host, duration);
  executor_->PostAfter(duration, [this, host, life = at.life] {
    Host& back = hosts_.at(host);
    if (back.life != life) return;
    for (auto& [key, action] : back.actions) {
      if (action.action.state() == v1::ACTION_STATE_RUNNING) StartTimer(host, back, action);
    }
  });
}

}  // namespace mtp::simulation
