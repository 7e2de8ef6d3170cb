// What must never be of updates and rollouts, judged by what the hosts hold before and after each
// action. The store only tells which operation an action belongs to and when one begins and ends.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "mtp/v1/rollout.pb.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_engines.h"

namespace mtp::simulation {

class UpdateJudge {
 public:
  UpdateJudge(Judge* judge, const SimEngines* engines) : judge_(judge), engines_(engines) {}

  // An action of the operation took effect on the tenant.
  void OnAction(const std::string& id, const state::v1::OperationRecord& record,
                const v1::EnsureActionRequest& request, const TenantView& before,
                const TenantView& after);
  // As Judge::on_operation.
  void OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                   const state::v1::OperationRecord& after);
  // An operator is about to ask for a rollout.
  void OnAsking(const v1::CreateRolloutRequest& request) {
    asked_[request.request_id()] = request.settings();
  }
  // An operator was told that it is paused; is about to ask that it goes on.
  void OnPaused(const std::string& rollout) { rollouts_[rollout].paused = true; }
  void OnResuming(const std::string& rollout) { rollouts_[rollout].paused = false; }

  // Updates that were undone after their tenant was stopped.
  int brought_back() const { return brought_back_; }

 private:
  struct Update {
    std::optional<TenantView> found;    // before its first action
    std::optional<TenantView> stopped;  // after its stop took effect
  };
  struct Rollout {
    bool failed = false;
    bool paused = false;
    bool ended = false;
    std::set<std::string> going_on;  // ULIDs of its updates
    std::set<std::string> harmed;    // tenants that a bad image ran on
    int canary = 1;
    int at_once = 1;
  };

  void OnUpdateBegins(const std::string& id, const v1::Operation& update);
  void OnUpdateEnds(const std::string& id, const state::v1::OperationRecord& record);
  void CheckUpdated(const std::string& id, const state::v1::OperationRecord& record,
                    const Update& update, const TenantView& now);
  void CheckBroughtBack(const std::string& id, const Update& update, const TenantView& now);

  Judge* const judge_;
  const SimEngines* const engines_;
  std::map<std::string, Update> updates_;
  std::map<std::string, Rollout> rollouts_;
  std::map<std::string, v1::RolloutSettings> asked_;  // by request id
  int brought_back_ = 0;
};

}  // namespace mtp::simulation
