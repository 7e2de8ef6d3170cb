// Agents of all hosts that do what a test says, and complain of what no correct controller asks.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

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

  FakeAgents();
  ~FakeAgents() override;

  static Outcome Failed(absl::Status error);
  static Outcome Running();

  // By the kind of action; DONE without a result for all others.
  std::map<v1::EnsureActionRequest::ActionCase, Outcome> outcomes;
  // Called before an action begins. Null for none.
  std::function<void(const v1::EnsureActionRequest&)> on_begin;
  // Hosts that cannot be reached.
  std::set<std::string> away;
  // Hosts that have left the fleet.
  std::set<std::string> gone;
  // A running action ends as done when it is cancelled: the request came too late.
  bool cancels_too_late = false;
  // So many of the next answers to requests to cancel are lost.
  int lost_cancels = 0;
  // New restores are refused, as by an agent that does not know them.
  bool refuse_restores = false;

  const std::vector<Begun>& begun() const { return begun_; }
  const std::vector<std::string>& complaints() const { return complaints_; }
  // The newest of that kind, good until the next one begins; an empty one when there is none.
  const Begun& Last(v1::EnsureActionRequest::ActionCase kind) const;
  int Count(v1::EnsureActionRequest::ActionCase kind) const;
  // Ends a running action of that kind.
  void End(v1::EnsureActionRequest::ActionCase kind, const Outcome& outcome);

  absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                          const v1::EnsureActionRequest& request) override;

  absl::StatusOr<v1::Action> CancelAction(const std::string& host, const std::string& key) override;

 private:
  struct Known {
    std::string host;
    v1::EnsureActionRequest request;
    v1::Action action;
  };

  absl::Status Reach(const std::string& host) const;
  static void Apply(const Outcome& outcome, v1::Action& action);

  std::map<std::string, Known> actions_;
  std::map<std::string, int64_t> epochs_;
  std::vector<Begun> begun_;
  std::vector<std::string> complaints_;
};

}  // namespace mtp::testing
