// One seed: a fleet, callers, faults, and then quiet, in virtual time and one thread. Even seeds
// put the real operation kinds of the fleet under the engine; of the odd ones every other, from 1
// on, made-up kinds, and the rest cut hosts off that hold leases.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/plants.h"

namespace mtp::simulation {

// What is left out of a seed. The draws that follow come out otherwise, so a seed with something
// left out takes a course of its own, and always the same one.
struct LeftOut {
  std::set<std::string> faults;  // names of FaultPlan::Rates()
  // What was planned from the beginning (wishes of callers, partitions), numbered from 1.
  std::set<int> plans;
};

struct SeedOptions {
  uint64_t seed = 1;
  Plant plant = Plant::kNone;
  bool keep_trace = false;
  LeftOut left_out;
};

struct SeedResult {
  std::vector<std::string> violations;
  uint64_t trace_hash = 0;
  // What the trace has, and what ran on virtual time: messages, timers, commits' callbacks, judges.
  int64_t events = 0;
  int64_t tasks = 0;
  int operations = 0;
  int deaths = 0;
  // What there was to leave out.
  int plans = 0;
  std::set<std::string> faults;
  // How often what happened: operations that succeeded, by kind, and what is rare.
  std::map<std::string, int64_t> seen;
  std::vector<std::string> trace;  // when asked for
};

// Thread-safe.
SeedResult RunSeed(const SeedOptions& options);

}  // namespace mtp::simulation
