#include "tests/unit/controller/fake_agents.h"

#include <google/protobuf/util/message_differencer.h>

#include "common/base/status.h"

namespace mtp::testing {

FakeAgents::FakeAgents() = default;

FakeAgents::~FakeAgents() = default;

FakeAgents::Outcome FakeAgents::Failed(absl::Status error) {
  return {v1::ACTION_STATE_FAILED, std::move(error), {}};
}

FakeAgents::Outcome FakeAgents::Running() {
  return {v1::ACTION_STATE_RUNNING, absl::OkStatus(), {}};
}

const FakeAgents::Begun& FakeAgents::Last(v1::EnsureActionRequest::ActionCase kind) const {
  for (auto it = begun_.rbegin(); it != begun_.rend(); ++it) {
    if (it->request.action_case() == kind) return *it;
  }
  static const auto* const none = new Begun();
  return *none;
}

int FakeAgents::Count(v1::EnsureActionRequest::ActionCase kind) const {
  int count = 0;
  for (const Begun& begun : begun_) count += begun.request.action_case() == kind ? 1 : 0;
  return count;
}

void FakeAgents::End(v1::EnsureActionRequest::ActionCase kind, const Outcome& outcome) {
  for (auto& [key, action] : actions_) {
    if (action.request.action_case() == kind && action.action.state() == v1::ACTION_STATE_RUNNING) {
      Apply(outcome, action.action);
    }
  }
}

absl::Status FakeAgents::Reach(const std::string& host) const {
  if (gone.count(host) > 0) return absl::NotFoundError("there is no host " + host);
  if (away.count(host) > 0) return absl::UnavailableError(host + " is not connected");
  return absl::OkStatus();
}

absl::StatusOr<v1::Action> FakeAgents::EnsureAction(const std::string& host,
                                                    const v1::EnsureActionRequest& request) {
  MTP_RETURN_IF_ERROR(Reach(host));
  const auto known = actions_.find(request.key());
  if (known != actions_.end()) {
    if (known->second.host != host ||
        !google::protobuf::util::MessageDifferencer::Equals(known->second.request, request)) {
      complaints_.push_back(request.key() + " is used for another action");
      return absl::InvalidArgumentError("the key was used for another action");
    }
    return known->second.action;
  }
  int64_t& epoch = epochs_[host + "/" + request.tenant()];
  if (request.epoch() < epoch) {
    complaints_.push_back(request.key() + " is of an older placement");
    return absl::FailedPreconditionError("a late command of an older decision");
  }
  for (const auto& [key, other] : actions_) {
    if (other.host == host && other.action.tenant() == request.tenant() &&
        other.action.state() == v1::ACTION_STATE_RUNNING) {
      return absl::AbortedError("another action on the tenant goes on");
    }
  }
  if (refuse_restores && request.has_restore()) return absl::UnimplementedError("unknown action");
  if (on_begin) on_begin(request);
  epoch = request.epoch();
  begun_.push_back({host, request});
  Known& fresh = actions_[request.key()];
  fresh.host = host;
  fresh.request = request;
  fresh.action.set_key(request.key());
  fresh.action.set_tenant(request.tenant());
  const auto outcome = outcomes.find(request.action_case());
  Apply(outcome == outcomes.end() ? Outcome() : outcome->second, fresh.action);
  return fresh.action;
}

absl::StatusOr<v1::Action> FakeAgents::CancelAction(const std::string& host,
                                                    const std::string& key) {
  MTP_RETURN_IF_ERROR(Reach(host));
  if (lost_cancels > 0) {
    --lost_cancels;
    return absl::UnavailableError("the answer is lost");
  }
  const auto known = actions_.find(key);
  if (known == actions_.end()) return absl::NotFoundError("there is no action " + key);
  v1::Action& action = known->second.action;
  if (action.state() == v1::ACTION_STATE_RUNNING) {
    const Outcome cancelled{v1::ACTION_STATE_CANCELLED, absl::CancelledError("cancelled"), {}};
    Apply(cancels_too_late ? Outcome() : cancelled, action);
  }
  return action;
}

void FakeAgents::Apply(const Outcome& outcome, v1::Action& action) {
  action.set_state(outcome.state);
  if (!outcome.error.ok()) *action.mutable_error() = ToError(outcome.error);
  for (const auto& [name, value] : outcome.result) (*action.mutable_result())[name] = value;
}

}  // namespace mtp::testing
