// The agents of all hosts, with a journal that survives their death, behind a network that loses
// and cuts. They are the judges' witnesses: what they did is what happened.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controller/hosts/agent_client.h"
#include "tests/simulation/fault_plan.h"
#include "tests/simulation/plants.h"
#include "tests/simulation/trace.h"
#include "tests/support/sim_executor.h"

namespace mtp::simulation {

class SimAgents final : public AgentDirectory {
 public:
  SimAgents(testing::SimClock* clock, testing::SimExecutor* executor, testing::SeededRandom* random,
            const FaultPlan* faults, Plant plant, Trace* trace)
      : clock_(clock),
        executor_(executor),
        random_(random),
        faults_(faults),
        plant_(plant),
        trace_(trace) {}

  void AddHost(const std::string& host) {
    hosts_[host];
    names_.push_back(host);
  }
  const std::vector<std::string>& Hosts() const { return names_; }

  // The controller's side. UNAVAILABLE stands for everything a network does.
  absl::StatusOr<v1::Action> EnsureAction(const std::string& host,
                                          const v1::EnsureActionRequest& request) override;
  absl::StatusOr<v1::Action> CancelAction(const std::string& host, const std::string& key) override;
  // Where action ends arrive; may be called from inside EnsureAction. Null while nobody listens.
  std::function<void(const v1::Action&)> on_action;

  // What an action does to its host's engine: called when it ends, with its end, or half-way,
  // RUNNING; may add to the action's results. Null for none.
  std::function<void(const std::string& host, const v1::EnsureActionRequest&, v1::ActionState,
                     v1::Action&)>
      on_effect;
  // Why an action cannot end well, whatever else happens. Null for none.
  std::function<absl::Status(const std::string& host, const v1::EnsureActionRequest&)> refusal;
  // How long an action has to wait for something before it can end; zero for not at all. Null for
  // none.
  std::function<absl::Duration(const std::string& host, const v1::EnsureActionRequest&)> postpone;
  // A host was cut off, or can be reached again. Null for none.
  std::function<void(const std::string& host, bool reachable)> on_reachable;
  bool IsReachable(const std::string& host) const { return Reachable(hosts_.at(host)); }

  // Faults of a host, for a while.
  void Cut(const std::string& host, absl::Duration duration);
  void Kill(const std::string& host, absl::Duration duration);

  // How often the effect of each key took place, and in which order.
  const std::map<std::string, int>& effects() const { return effects_; }
  const std::vector<std::string>& order() const { return order_; }
  // What an agent refused although a correct controller never asks for it.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  struct SimAction {
    v1::Action action;
    std::string request;
    bool fails = false;
    bool cancel = false;
    int postponed = 0;
    absl::Duration left;  // of its work, when its agent died
    absl::Duration ends;  // monotonic, while its agent lives
    uint64_t life = 0;    // of the agent that its timer belongs to
  };
  struct Host {
    absl::Duration cut_until;
    absl::Duration dead_until;
    uint64_t life = 1;
    std::map<std::string, SimAction> actions;  // the journal
    std::map<std::string, int64_t> epochs;
    std::map<std::string, std::string> busy;  // tenant to the key of its running action
  };

  bool Reachable(const Host& host) const;
  absl::StatusOr<v1::Action> Begin(const std::string& name, Host& host,
                                   const v1::EnsureActionRequest& request);
  // Decided by its key alone.
  static bool MayFail(const v1::EnsureActionRequest& request);
  void Affect(const std::string& name, SimAction& action, v1::ActionState state);
  // Whether it waits for something, and for how long from now.
  bool Postpone(const std::string& name, Host& host, SimAction& action);
  absl::Status Outcome(const std::string& name, const SimAction& action) const;
  void TellReachable(const std::string& name, absl::Duration away);
  void StartTimer(const std::string& name, Host& host, SimAction& action);
  void Finish(const std::string& name, const std::string& key, uint64_t life);
  void Tell(const Host& host, const v1::Action& action);

  testing::SimClock* const clock_;
  testing::SimExecutor* const executor_;
  testing::SeededRandom* const random_;
  const FaultPlan* const faults_;
  const Plant plant_;
  Trace* const trace_;
  std::map<std::string, Host> hosts_;
  std::vector<std::string> names_;
  std::map<std::string, int> effects_;
  std::vector<std::string> order_;
  std::vector<std::string> complaints_;
};

}  // namespace mtp::simulation
