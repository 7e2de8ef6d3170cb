// One seed: a fleet, callers, faults, and then quiet, in virtual time and one thread. Even seeds
// put the real operation kinds of the fleet under the engine; of the odd ones every other, from 1
// on, made-up kinds, and the rest cut hosts off that hold leases.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/plants.h"

namespace mtp::simulation {

struct SeedResult {
  std::vector<std::string> violations;
  uint64_t trace_hash = 0;
  int64_t events = 0;
  int operations = 0;
  int deaths = 0;
  // How often what happened: operations that succeeded, by kind, and what is rare.
  std::map<std::string, int64_t> seen;
  std::vector<std::string> trace;  // when asked for
};

SeedResult RunSeed(uint64_t seed, Plant plant, bool keep_trace);

}  // namespace mtp::simulation
