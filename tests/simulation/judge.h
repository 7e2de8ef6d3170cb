// Watches the store and the agents, and says what must never be. It trusts neither the engine nor
// its records alone: what counts is what the agents did and in which order it became true.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/kv/store.h"
#include "controller/operations/engine.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/trace.h"

namespace mtp::simulation {

struct KindPlan;

class Judge {
 public:
  // Follows `disk` from its beginning.
  Judge(kv::Store* disk, const testing::SimClock* clock, Trace* trace);

  // Keeps the first 20.
  void Violation(std::string what);
  const std::vector<std::string>& violations() const { return violations_; }

  // Called with each revision of an operation; `before` is null for a new one. Null for none.
  std::function<void(const std::string& id, const state::v1::OperationRecord* before,
                     const state::v1::OperationRecord& after)>
      on_operation;
  // Null for one that never was.
  const state::v1::OperationRecord* Find(const std::string& id) const;

  // A step or compensation of a living process is about to act.
  void OnStepRun(const operations::StepContext& context, const std::string& step, bool undo);
  // A living process is about to ask an agent for the action of that key.
  void OnRequest(const std::string& key);
  // A caller was told that its request was accepted.
  void OnAccepted(const std::string& request_id, const v1::Operation& operation);
  // A wake reached a living engine; call the returned check two seconds later.
  std::function<void()> OnWake(const std::string& id);
  // The disk refused the controller, or its process died or began: looking again may take longer
  // now.
  void OnDisturbance() { disturbed_ = clock_->Monotonic(); }

  bool IsActive(const std::string& id) const;
  // Operations in the store that have not ended.
  int Active() const;
  int Ended() const { return ended_; }
  // Adds, by kind, how many operations succeeded, and how often a lock was lent and given back.
  void CountSucceeded(std::map<std::string, int64_t>& seen) const;

  // Once everything has settled.
  void Conclude(const std::vector<KindPlan>& kinds, const SimAgents& agents);

 private:
  void OnEvents(const std::vector<kv::Event>& events);
  void OnOperation(const std::string& id, const state::v1::OperationRecord& record);
  void CheckTransition(const std::string& id, const v1::Operation& before,
                       const v1::Operation& after);
  void CheckHandover(const std::string& lock, const std::string& from, const std::string& to);
  void CheckLocks(const std::string& id, const state::v1::OperationRecord& record);
  void ConcludeOperation(const std::string& id, const KindPlan& kind, const SimAgents& agents,
                         int64_t* counter);

  const testing::SimClock* const clock_;
  Trace* const trace_;
  std::vector<std::string> violations_;
  int64_t revision_ = 0;
  int ended_ = 0;
  absl::Duration disturbed_;
  std::map<std::string, state::v1::OperationRecord> operations_;
  std::map<std::string, std::string> locks_;  // key to the operation that holds it
  // Operations whose lock another one has borrowed, or has borrowed and kept.
  std::set<std::string> lenders_;
  int64_t lent_ = 0;
  int64_t given_back_ = 0;
  std::map<std::string, std::string> counters_;
  std::map<std::string, std::set<std::string>> by_request_;  // caller and id to operations
  std::map<std::string, std::string> accepted_;     // request id to what its caller was told
  std::map<std::string, absl::Duration> last_run_;  // operation to when a step last ran
  std::map<std::string, std::string> acting_;       // target to the operation that acted last
  std::unique_ptr<kv::Watch> watch_;
};

}  // namespace mtp::simulation
