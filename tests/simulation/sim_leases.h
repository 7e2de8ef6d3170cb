// The leases of all hosts as their agents and guards keep them, each on a clock of its own that
// runs a little too fast or too slow, behind a network that delays, repeats and loses grants.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "mtp/v1/agent.pb.h"
#include "tests/simulation/plants.h"
#include "tests/simulation/sim_agents.h"
#include "tests/simulation/sim_engines.h"
#include "tests/simulation/trace.h"

namespace mtp::simulation {

class SimLeases {
 public:
  struct World {
    testing::SimClock* clock = nullptr;
    testing::SimExecutor* executor = nullptr;
    testing::SeededRandom* random = nullptr;
    const FaultPlan* faults = nullptr;
    Plant plant = Plant::kNone;
    Trace* trace = nullptr;
    const SimAgents* agents = nullptr;
    SimEngines* engines = nullptr;
  };
  explicit SimLeases(const World& world) : world_(world) {}

  void AddHost(const std::string& host);
  // Each host stamps an event every few seconds while it can be reached; `on_stamp` is called when
  // the event arrives.
  void Start(std::function<void(const std::string& host, const v1::LeaseStamp& stamp)> on_stamp);
  // The controller sends a grant: it arrives later, twice, or never.
  void Send(const std::string& host, const v1::GrantLeaseRequest& grant);
  // Another life of the agent: grants for stamps of the one before are refused.
  void NewLife(const std::string& host) { ++hosts_.at(host).life; }

  // As Lease::MayStart.
  bool MayStart(const std::string& host, const std::string& tenant, int64_t epoch) const;
  // What the agent's journal says.
  bool IsLeased(const std::string& host, const std::string& tenant) const;
  void SetLeased(const std::string& host, const std::string& tenant, bool leased, int64_t epoch);
  void Forget(const std::string& host, const std::string& tenant);
  // It was stopped on purpose: no lease starts it again.
  void OnStopped(const std::string& host, const std::string& tenant) {
    hosts_.at(host).ended.erase(tenant);
  }

  // The tenant began or ceased to run there by the lease alone. Null for none.
  std::function<void(const std::string& host, const std::string& tenant)> on_change;
  // Copies that the end of a lease has ended.
  int ended() const { return ended_; }

 private:
  struct Host {
    absl::Duration offset;
    int64_t drift_ppm = 0;
    int life = 1;
    absl::Duration stamp;
    absl::Duration deadline;
    std::optional<std::map<std::string, int64_t>> named;
    std::map<std::string, int64_t> leased;  // with the epoch that its agent knows
    std::set<std::string> ended;            // by the lease
  };

  absl::Duration Now(const Host& host) const;
  void Tick(const std::string& host);
  void Arrive(const std::string& host, const v1::GrantLeaseRequest& grant);
  void Enforce(const std::string& host);
  void End(const std::string& host, const std::string& tenant);
  void StartAgain(const std::string& host);
  // `late` of 1,000 come late.
  absl::Duration Delay(uint64_t late);

  const World world_;
  std::map<std::string, Host> hosts_;
  std::function<void(const std::string& host, const v1::LeaseStamp& stamp)> on_stamp_;
  uint64_t late_grants_ = 0;  // of 1,000: in half of the seeds most
  int ended_ = 0;
};

}  // namespace mtp::simulation
