// What must never be of hosts that are cut off, judged by what the simulated engines run and by
// what the simulated agents know.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "controller/state/tables.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/sim_engines.h"
#include "tests/simulation/sim_leases.h"

namespace mtp::simulation {

class LeaseJudge {
 public:
  LeaseJudge(kv::Store* disk, Judge* judge, const testing::SimClock* clock, const SimAgents* agents,
             const SimEngines* engines, const SimLeases* leases);

  // A host was cut off or has died, or is back.
  void OnReachable(const std::string& host, bool reachable);
  // A stamp of the host has reached the controller.
  void OnHeard(const std::string& host);
  // Somebody accepted that the copy on that host may run beside another: until it is taken off.
  void Excuse(const std::string& tenant, const std::string& host) {
    excused_.insert({tenant, host});
  }
  // Something began or ceased to run.
  void CheckCopies(const std::string& tenant);
  // As Judge::on_operation.
  void OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                   const state::v1::OperationRecord& after);
  // Once everything has settled.
  void Conclude();

  // Failovers that succeeded, by themselves and by an operator's word; old copies taken off.
  int by_itself() const { return by_itself_; }
  int by_word() const { return by_word_; }
  int taken_off() const { return taken_off_; }
  // Moments at which several hosts had vanished together.
  int together() const { return together_; }

 private:
  void OnTenants(const std::vector<kv::Event>& events);
  void CheckMove(const state::v1::OperationRecord& record, const std::string& from);
  bool VanishedTogether(const std::string& host) const;

  const Tables tables_;
  Judge* const judge_;
  const testing::SimClock* const clock_;
  const SimAgents* const agents_;
  const SimEngines* const engines_;
  const SimLeases* const leases_;
  std::map<std::string, absl::Duration> vanished_;
  std::map<std::string, absl::Duration> heard_;             // when a stamp came last
  std::map<std::string, state::v1::TenantRecord> tenants_;  // as last seen
  std::set<std::pair<std::string, std::string>> excused_;   // tenant, host
  int by_itself_ = 0;
  int by_word_ = 0;
  int taken_off_ = 0;
  int together_ = 0;
  std::unique_ptr<kv::Watch> watch_;
};

}  // namespace mtp::simulation
