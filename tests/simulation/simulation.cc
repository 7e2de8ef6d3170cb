#include "tests/simulation/simulation.h"

#include "tests/simulation/engine_scenario.h"
#include "tests/simulation/fleet_scenario.h"
#include "tests/simulation/lease_scenario.h"

namespace mtp::simulation {

SeedResult RunSeed(uint64_t seed, Plant plant, bool keep_trace) {
  if (seed % 8 == 7) return LeaseScenario(seed, plant, keep_trace).Run();
  if (seed % 2 == 0) return FleetScenario(seed, plant, keep_trace).Run();
  return EngineScenario(seed, plant, keep_trace).Run();
}

}  // namespace mtp::simulation
