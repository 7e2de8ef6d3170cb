// What must never be of backups by themselves and of checks of repositories, judged by what agents
// wrote and read.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/state/tables.h"
#include "mtp/v1/backup.pb.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/sim_engines.h"

namespace mtp::simulation {

class ScheduleJudge {
 public:
  ScheduleJudge(kv::Store* disk, const Clock* clock, Judge* judge, const SimAgents* agents,
                const SimEngines* engines)
      : tables_(disk), clock_(clock), judge_(judge), agents_(agents), engines_(engines) {}

  // Backups of all tenants go by it.
  void SetPolicy(const v1::BackupPolicy& policy) { policy_ = policy; }
  void OnDowntimeBegins();
  void OnDowntimeEnds();
  // As Judge::on_operation.
  void OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                   const state::v1::OperationRecord& after);
  void Conclude();

  // Times of a tenant that passed during the downtime.
  struct Missed {
    int64_t epoch = 0;  // of the placement that they are of
    absl::Time last;
    int times = 0;
    absl::Time next;  // the first that had not passed
  };
  const std::map<std::string, Missed>& missed() const { return missed_; }
  // Tenants with more than one such time, for which one backup was made.
  int caught_up() const { return caught_up_; }

 private:
  // `<tenant>/<host>` of all backups in the repository whose operations have succeeded.
  std::set<std::string> Parts() const;
  bool Succeeded(const std::string& id) const;

  const Tables tables_;
  const Clock* const clock_;
  Judge* const judge_;
  const SimAgents* const agents_;
  const SimEngines* const engines_;
  v1::BackupPolicy policy_;
  // When the schedule last began a backup of a tenant, by the clock of that moment.
  std::map<std::string, absl::Time> latest_;
  absl::Time down_;
  absl::Time back_ = absl::InfiniteFuture();
  std::map<std::string, Missed> missed_;
  int caught_up_ = 0;
  // By tenant: scheduled backups that began after the downtime.
  std::map<std::string, std::vector<v1::Operation>> begun_;
  // By check: the parts that had to be looked at.
  std::map<std::string, std::set<std::string>> parts_;
};

}  // namespace mtp::simulation
