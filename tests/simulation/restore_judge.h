// What must never be of restores and verifications, judged by what the hosts hold: the data is that
// of the backup or what was there before, never anything between, and nobody is told of what did
// not happen.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/simulation/judge.h"
#include "tests/simulation/sim_engines.h"

namespace mtp::simulation {

class RestoreJudge {
 public:
  RestoreJudge(Judge* judge, const SimEngines* engines) : judge_(judge), engines_(engines) {}

  // An action of the operation took effect on the tenant; `done`: all of it.
  void OnAction(const std::string& id, const state::v1::OperationRecord& record,
                const v1::EnsureActionRequest& request, bool done, const TenantView& before,
                const TenantView& after);
  // As Judge::on_operation.
  void OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                   const state::v1::OperationRecord& after);

  // Restores that ended with the data of before, and with that of the backup in spite of a failure.
  int taken_back() const { return taken_back_; }
  int kept_in_place() const { return kept_in_place_; }

 private:
  struct Restore {
    std::optional<TenantView> found;     // before its first action
    std::optional<TenantData> restored;  // what it put in place
  };

  void OnRestored(const std::string& id, const Restore& restore, const std::string& tenant,
                  const state::v1::OperationRecord& record);
  void OnFailed(const std::string& id, const Restore& restore, const std::string& tenant,
                const state::v1::OperationRecord& record);

  Judge* const judge_;
  const SimEngines* const engines_;
  std::map<std::string, Restore> restores_;
  std::set<std::string> read_;  // verifications that an agent has carried out
  int taken_back_ = 0;
  int kept_in_place_ = 0;
};

}  // namespace mtp::simulation
