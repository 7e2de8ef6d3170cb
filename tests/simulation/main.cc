// simulation [--seeds N [--from S]] [--replay SEED] [--plant NAME] [--plants]; without any of
// these, GoogleTest.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/simulation.h"

namespace mtp::simulation {
namespace {

constexpr char kUsage[] =
    "simulation --seeds N [--from S] [--plant NAME]  run N seeds, the first is S (1)\n"
    "simulation --replay SEED [--plant NAME]         run one seed and print what happens\n"
    "simulation --plants                             find each planted defect\n"
    "simulation [GoogleTest's flags]                 run the tests\n";

void Report(uint64_t seed, const SeedResult& result) {
  for (const std::string& violation : result.violations) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
  }
}

int RunSeeds(uint64_t from, uint64_t seeds, Plant plant) {
  const auto begin = std::chrono::steady_clock::now();
  uint64_t violations = 0;
  int64_t events = 0;
  int64_t operations = 0;
  int64_t deaths = 0;
  std::map<std::string, int64_t> seen;
  for (uint64_t seed = from; seed < from + seeds; ++seed) {
    const SeedResult result = RunSeed(seed, plant, /*keep_trace=*/false);
    if (!result.violations.empty()) {
      ++violations;
      Report(seed, result);
    }
    events += result.events;
    operations += result.operations;
    deaths += result.deaths;
    for (const auto& [what, times] : result.seen) seen[what] += times;
    // One in twenty runs twice: a seed that cannot be replayed is worth nothing.
    if (seed % 20 == 0 && RunSeed(seed, plant, false).trace_hash != result.trace_hash) {
      ++violations;
      std::printf("seed %llu: its second run took another course\n",
                  static_cast<unsigned long long>(seed));
    }
  }
  for (const auto& [what, times] : seen) {
    std::printf("%-26s %lld\n", what.c_str(), static_cast<long long>(times));
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%lld events, %lld operations ended, %lld deaths of the controller\n",
              static_cast<long long>(events), static_cast<long long>(operations),
              static_cast<long long>(deaths));
  std::printf("%llu seeds, %llu violations, %.0f per second\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(violations),
              static_cast<double>(seeds) / seconds);
  return violations == 0 ? 0 : 1;
}

int Replay(uint64_t seed, Plant plant) {
  const SeedResult result = RunSeed(seed, plant, /*keep_trace=*/true);
  for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
  Report(seed, result);
  std::printf("trace %016llx, %zu violations\n", static_cast<unsigned long long>(result.trace_hash),
              result.violations.size());
  return result.violations.empty() ? 0 : 1;
}

int FindPlants() {
  constexpr uint64_t kMost = 1000;
  int missed = 0;
  for (const auto& [name, plant] : AllPlants()) {
    if (plant == Plant::kNone) continue;
    uint64_t seed = 1;
    SeedResult result;
    for (; seed <= kMost && result.violations.empty(); ++seed) result = RunSeed(seed, plant, false);
    if (result.violations.empty()) {
      ++missed;
      std::printf("%-22s not found by %llu seeds\n", name.c_str(),
                  static_cast<unsigned long long>(kMost));
    } else {
      std::printf("%-22s seed %-4llu %s\n", name.c_str(), static_cast<unsigned long long>(seed - 1),
                  result.violations.front().c_str());
    }
  }
  std::printf("%zu planted defects, %d not found\n", AllPlants().size() - 1, missed);
  return missed == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);  // takes its own flags out
  uint64_t seeds = 0;
  uint64_t from = 1;
  uint64_t replay = 0;
  bool plants = false;
  Plant plant = Plant::kNone;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    bool understood = true;
    if (flag == "--plants") {
      plants = true;
      continue;
    }
    if (flag == "--seeds") {
      understood = absl::SimpleAtoi(value, &seeds);
    } else if (flag == "--from") {
      understood = absl::SimpleAtoi(value, &from);
    } else if (flag == "--replay") {
      understood = absl::SimpleAtoi(value, &replay);
    } else if (flag == "--plant") {
      understood = false;
      for (const auto& [name, known] : AllPlants()) {
        if (name != value) continue;
        plant = known;
        understood = true;
      }
    } else {
      understood = false;
    }
    if (!understood) {
      std::fputs(kUsage, stderr);
      return 2;
    }
    ++i;
  }
  if (plants) return FindPlants();
  if (replay != 0) return Replay(replay, plant);
  if (seeds != 0) return RunSeeds(from, seeds, plant);
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace mtp::simulation

int main(int argc, char** argv) { return mtp::simulation::Main(argc, argv); }
