#include "tests/simulation/simulation.h"

#include "tests/simulation/engine_scenario.h"
#include "tests/simulation/fleet_scenario.h"
#include "tests/simulation/lease_scenario.h"

namespace mtp::simulation {

SeedResult RunSeed(const SeedOptions& options) {
  if (options.seed % 8 == 7) return LeaseScenario(options).Run();
  if (options.seed % 2 == 0) return FleetScenario(options).Run();
  return EngineScenario(options).Run();
}

}  // namespace mtp::simulation
