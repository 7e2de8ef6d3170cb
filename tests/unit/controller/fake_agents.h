// Agents of all hosts that do what a test says, and complain of what no correct controller asks.
#pragma once

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "controller/hosts/agent_client.h"

namespace mtp::testing {

class FakeAgents final : public AgentDirectory {
 public:
  // How an action goes. RUNNING ones end by `End` or by being cancelled.
  struct Outcome {
    v1::ActionState state = v1::ACTION_STATE_DONE;
    absl::Status error;
    std::map<std::string, std::string> result;
  };
  struct Begun {
    std::string host;
    v1::EnsureActionRequest request;
  };

  static Outcome Failed(absl::Status error) {
    return {v1::ACTION_STATE_FAILED, std::move(error), {}};
  }
  static Outcome Running() { return {v1::ACTION_STATE_RUNNING, absl::OkStatus(), {}}; }

  // By the kind of action; DONE without a result for all others.
  std::map<v1::EnsureActionRequest::ActionCase, Outcome> outcomes;
  // Called before an action begins. Null for none.
  std::function<void(const v1::EnsureActionRequest&)> on_begin;
  // Hosts that cannot be reached.
  std::set<std::string> away;
  // A running action ends as done when it is cancelled: the request came too late.
  bool cancels_too_late = false;
  // New restores are refused, as by an agent that does not know them.
  bool refuse_restores = false;

  const std::vector<Begun>& begun() const { return begun_; }
  const std::vector<std::string>& complaints() const { return complaints_; }
  // The newest of that kind, good until the next one begins; an empty one when there is none.
  const Begun& Last(v1::EnsureActionRequest::ActionCase kind) const {
    for (auto it = begun_.rbegin(); it != begun_.rend(); ++it) {
      if (it->request.action_case() == kind) return *it;
    }
    static const auto* const none = new Begun();
    return *none;
  }
  int Count(v1::EnsureActionRequest::ActionCase kind) const {
    int count = 0;
    for (const Begun& begun : begun_) count += begun.request.action_case() == kind ? 1 : 0;
    return count;
  }
  // Ends a running action of that kind.
  void End(v1::EnsureActionRequest::ActionCase kind, const Outcome& outcome) {
    for (auto& [key, action] : actions_) {
      if (action.request.action_case() == kind &&
          action.action.state() == v1::ACTION_STATE_RUNNING) {
        Apply(outcome, action.action);
      }
    }
  }

  absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                          const v1::EnsureActionRequest& request) override {
    if (away.count(host) > 0) return absl::UnavailableError(host + " is not connected");
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

  absl::StatusOr<v1::Action> CancelAction(const std::string& host,
                                          const std::string& key) override {
    if (away.count(host) > 0) return absl::UnavailableError(host + " is not connected");
    const auto known = actions_.find(key);
    if (known == actions_.end()) return absl::NotFoundError("there is no action " + key);
    v1::Action& action = known->second.action;
    if (action.state() == v1::ACTION_STATE_RUNNING) {
      const Outcome cancelled{v1::ACTION_STATE_CANCELLED, absl::CancelledError("cancelled"), {}};
      Apply(cancels_too_late ? Outcome() : cancelled, action);
    }
    return action;
  }

 private:
  struct Known {
    std::string host;
    v1::EnsureActionRequest request;
    v1::Action action;
  };

  static void Apply(const Outcome& outcome, v1::Action& action) {
    action.set_state(outcome.state);
    if (!outcome.error.ok()) *action.mutable_error() = ToError(outcome.error);
    for (const auto& [name, value] : outcome.result) (*action.mutable_result())[name] = value;
  }

  std::map<std::string, Known> actions_;
  std::map<std::string, int64_t> epochs_;
  std::vector<Begun> begun_;
  std::vector<std::string> complaints_;
};

}  // namespace mtp::testing
