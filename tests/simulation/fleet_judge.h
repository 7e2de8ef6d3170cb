// What must never be of tenants and hosts, judged by what the simulated engines run and by every
// revision of the store.
#pragma once

#include <map>
#include <string>

#include "common/base/secret_box.h"
#include "controller/state/tables.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/sim_engines.h"

namespace mtp::simulation {

class FleetJudge {
 public:
  FleetJudge(kv::Store* disk, Judge* judge, const SimAgents* agents, const SimEngines* engines);

  void SetRoom(std::map<std::string, int64_t> allocatable_mib) {
    allocatable_mib_ = std::move(allocatable_mib);
  }
  // Opens what the controller has sealed.
  void SetBox(const SecretBox* box) { box_ = box; }
  // Removals make their final backups in a repository.
  void SetHasRepository() { has_repository_ = true; }
  // An action is about to take effect on its host, or has; `kind` of the operation that asked.
  void BeforeEffect(const std::string& host, const v1::EnsureActionRequest& request,
                    const std::string& kind);
  void AfterEffect(const std::string& host, const v1::EnsureActionRequest& request);
  // Once everything has settled: no orphans, no leftovers, each tenant as it was last asked to be.
  void Conclude();

 private:
  void OnEvents(const std::vector<kv::Event>& events);
  void CheckAllocations(const std::string& host);
  void CheckTenant(const std::string& name, const std::string& value);
  void CheckRemoval(const v1::EnsureActionRequest& request);
  // Whether an operation of that kind holds the tenant.
  bool IsHeldBy(const std::string& tenant, const std::string& kind) const;
  void CheckRunning(const std::string& tenant);
  void ConcludeTenants();
  void ConcludeContainer(const std::string& tenant, const state::v1::TenantRecord& record);
  void ConcludeSecrets(const std::string& tenant, const Container& container);
  void ConcludeClaims();
  void ConcludeRunning();

  const Tables tables_;
  Judge* const judge_;
  const SimAgents* const agents_;
  const SimEngines* const engines_;
  const SecretBox* box_ = nullptr;
  std::map<std::string, int64_t> allocatable_mib_;
  bool has_repository_ = false;
  std::map<std::string, int64_t> epochs_;                   // highest of each name
  std::map<std::string, state::v1::TenantRecord> tenants_;  // as last seen
  std::unique_ptr<kv::Watch> watch_;
};

// Every snapshot in the repositories is a backup of the catalogue, or left to a pruning: nobody
// else would ever take it away.
void ConcludeRepositories(const Tables& tables, const SimEngines& engines, Judge* judge);

}  // namespace mtp::simulation
