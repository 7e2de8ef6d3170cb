// The simulation as part of the ordinary tests. `simulation --help` tells how to run more seeds, or
// one with its trace.
#include "tests/simulation/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/shrink.h"

namespace mtp::simulation {
namespace {

constexpr uint64_t kSeeds = 600;
constexpr uint64_t kSeedsToFindAPlant = 200;

SeedOptions Plain(uint64_t seed) {
  SeedOptions options;
  options.seed = seed;
  return options;
}

// Of the first seed that notices the defect; of none, when `seed` is 0.
SeedOptions FirstToNotice(Plant plant) {
  SeedOptions options;
  options.plant = plant;
  for (; options.seed <= kSeedsToFindAPlant; ++options.seed) {
    if (!RunSeed(options).violations.empty()) return options;
  }
  options.seed = 0;
  return options;
}

TEST(Simulation, NoSeedViolatesAnInvariant) {
  int operations = 0;
  int deaths = 0;
  std::map<std::string, int64_t> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SeedResult result = RunSeed(Plain(seed));
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
                           "lock lent",
                           "ended by a lease"}) {
    EXPECT_GT(seen[what], 5) << what;
  }
}

TEST(Simulation, ASeedThatRunsTwiceLeavesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    const SeedResult first = RunSeed(Plain(seed));
    const SeedResult second = RunSeed(Plain(seed));
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

class PlantedDefect : public ::testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Plants, PlantedDefect, ::testing::Range<size_t>(0, AllPlants().size()),
                         [](const auto& info) {
                           std::string name = AllPlants()[info.param].name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(PlantedDefect, IsFoundByASeed) {
  EXPECT_NE(FirstToNotice(AllPlants()[GetParam()].plant).seed, 0)
      << "no seed of " << kSeedsToFindAPlant << " notices it";
}

// One of each kind of seed: kinds that are made up, the real ones, hosts that are cut off.
TEST(Shrink, LeavesWhatItTakes) {
  for (const Plant plant : {Plant::kUndoSkipped, Plant::kClaimKept, Plant::kStayMoves}) {
    const SeedOptions options = FirstToNotice(plant);
    ASSERT_NE(options.seed, 0);
    const SeedResult whole = RunSeed(options);
    const Shrunk shrunk = Shrink(options);
    const std::string flags = FlagsOf(shrunk.options);

    EXPECT_THAT(shrunk.result.faults, ::testing::IsSubsetOf(whole.faults)) << flags;
    const LeftOut& left_out = shrunk.options.left_out;
    EXPECT_GT(left_out.faults.size() + left_out.plans.size(), 0) << flags;
    EXPECT_LE(shrunk.result.events, whole.events) << flags;
    EXPECT_EQ(RunSeed(shrunk.options).trace_hash, shrunk.result.trace_hash) << flags;
    const auto breaks_it = [&whole](const SeedResult& result) {
      const std::string promise = PromiseOf(whole.violations.front());
      // A longer history is no smaller one, whatever it leaves out.
      return result.events <= whole.events &&
             std::any_of(
                 result.violations.begin(), result.violations.end(),
                 [&promise](const std::string& text) { return PromiseOf(text) == promise; });
    };
    EXPECT_TRUE(breaks_it(shrunk.result)) << flags;
    for (int number = 1; number <= shrunk.result.plans; ++number) {
      SeedOptions less = shrunk.options;
      if (!less.left_out.plans.insert(number).second) continue;
      EXPECT_FALSE(breaks_it(RunSeed(less))) << flags << ", and without plan " << number;
    }
    for (const std::string& fault : shrunk.result.faults) {
      SeedOptions less = shrunk.options;
      less.left_out.faults.insert(fault);
      EXPECT_FALSE(breaks_it(RunSeed(less))) << flags << ", and without " << fault;
    }
  }
}

}  // namespace
}  // namespace mtp::simulation
