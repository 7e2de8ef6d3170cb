// The simulation as part of the ordinary tests. `simulation --help` tells how to run more seeds, or
// one with its trace.
#include "tests/simulation/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp::simulation {
namespace {

constexpr uint64_t kSeeds = 400;
constexpr uint64_t kSeedsToFindAPlant = 200;

TEST(Simulation, NoSeedViolatesAnInvariant) {
  int operations = 0;
  int deaths = 0;
  std::map<std::string, int64_t> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SeedResult result = RunSeed(seed, Plant::kNone, /*keep_trace=*/false);
    EXPECT_THAT(result.violations, ::testing::IsEmpty()) << "seed " << seed;
    operations += result.operations;
    deaths += result.deaths;
    for (const auto& [what, times] : result.seen) seen[what] += times;
  }
  // A simulation in which nothing happens would pass as well.
  EXPECT_GT(operations, static_cast<int>(kSeeds));
  EXPECT_GT(deaths, static_cast<int>(kSeeds) / 2);
  for (const char* what : {"provision",
                           "remove",
                           "start",
                           "stop",
                           "restart",
                           "set",
                           "reconfigure",
                           "backup",
                           "verify-backup",
                           "restore",
                           "drill",
                           "prune",
                           "update",
                           "rollout",
                           "check-repository",
                           "restore taken back",
                           "restored data stayed after a failure",
                           "update brought back",
                           "missed backups caught up",
                           "set-failover",
                           "evict",
                           "failover by itself",
                           "failover by word",
                           "old copy taken off",
                           "hosts vanished together",
                           "ended by a lease"}) {
    EXPECT_GT(seen[what], 5) << what;
  }
}

TEST(Simulation, ASeedThatRunsTwiceLeavesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    const SeedResult first = RunSeed(seed, Plant::kNone, /*keep_trace=*/false);
    const SeedResult second = RunSeed(seed, Plant::kNone, /*keep_trace=*/false);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

class PlantedDefect : public ::testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Plants, PlantedDefect, ::testing::Range<size_t>(1, AllPlants().size()),
                         [](const auto& info) {
                           std::string name = AllPlants()[info.param].first;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(PlantedDefect, IsFoundByASeed) {
  for (uint64_t seed = 1; seed <= kSeedsToFindAPlant; ++seed) {
    if (!RunSeed(seed, AllPlants()[GetParam()].second, false).violations.empty()) return;
  }
  FAIL() << "no seed of " << kSeedsToFindAPlant << " notices it";
}

}  // namespace
}  // namespace mtp::simulation
