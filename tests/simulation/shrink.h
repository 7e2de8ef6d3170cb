// Makes a failing seed small: leaves out faults and plans, one after another, for as long as the
// same promise is broken.
#pragma once

#include <string>

#include "tests/simulation/simulation.h"

namespace mtp::simulation {

struct Shrunk {
  SeedOptions options;  // what is left; kept is what the failing run had beside it
  SeedResult result;
  int runs = 0;
};

// `options` must be of a seed that violates something. At most some hundred runs; what is left then
// may not be the least. Leaving out one thing more of it breaks another promise or none.
Shrunk Shrink(const SeedOptions& options);

// Which promise a violation is about: the sentence without what names something of this run.
std::string PromiseOf(const std::string& violation);

// As flags of the program, to run it again.
std::string FlagsOf(const SeedOptions& options);

}  // namespace mtp::simulation
