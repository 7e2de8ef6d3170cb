// The control plane in virtual time, seed by seed; without flags of its own, GoogleTest.
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/simulation/fault_plan.h"
#include "tests/simulation/shrink.h"
#include "tests/simulation/simulation.h"

namespace mtp::simulation {
namespace {

constexpr uint64_t kMostSeedsToFindAPlant = 1000;
constexpr size_t kMostShrunk = 3;
constexpr uint64_t kTellEach = 10'000;
// One in twenty runs twice: a seed that cannot be replayed is worth nothing.
constexpr uint64_t kRunsTwice = 20;

void Report(uint64_t seed, const SeedResult& result) {
  for (const std::string& violation : result.violations) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
  }
}

// Seeds that several threads run, each the next one that nobody has begun.
class ManySeeds {
 public:
  ManySeeds(uint64_t from, uint64_t seeds, Plant plant)
      : seeds_(seeds), plant_(plant), end_(from + seeds), next_(from) {}

  int Run(unsigned jobs) {
    // Debian's Abseil keeps the order of all locks in one graph, under one lock: that is for tests.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < jobs; ++i) threads.emplace_back([this] { RunSome(); });
    RunSome();
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    Conclude(took.count());
    return failed_.empty() ? 0 : 1;
  }

 private:
  void RunSome() {
    SeedOptions options;
    options.plant = plant_;
    while ((options.seed = next_++) < end_) {
      SeedResult result = RunSeed(options);
      if (options.seed % kRunsTwice == 0 && RunSeed(options).trace_hash != result.trace_hash) {
        result.violations.push_back("its second run took another course");
      }
      Add(options.seed, result);
    }
  }

  void Add(uint64_t seed, const SeedResult& result) {
    absl::MutexLock lock(&mutex_);
    if (!result.violations.empty()) failed_.push_back(seed);
    Report(seed, result);
    if (++done_ % kTellEach == 0) {
      std::fprintf(stderr, "%llu of %llu seeds, %zu of them failed\n",
                   static_cast<unsigned long long>(done_), static_cast<unsigned long long>(seeds_),
                   failed_.size());
    }
    events_ += result.events;
    tasks_ += result.tasks;
    operations_ += result.operations;
    deaths_ += result.deaths;
    for (const auto& [what, times] : result.seen) seen_[what] += times;
  }

  // No thread runs any more.
  void Conclude(double seconds) {
    for (const auto& [what, times] : seen_) {
      std::printf("%-36s %lld\n", what.c_str(), static_cast<long long>(times));
    }
    std::sort(failed_.begin(), failed_.end());
    for (size_t i = 0; i < std::min(failed_.size(), kMostShrunk); ++i) ShowSmaller(failed_[i]);
    std::printf("%lld events, %lld tasks, %lld operations ended, %lld deaths of the controller\n",
                static_cast<long long>(events_), static_cast<long long>(tasks_),
                static_cast<long long>(operations_), static_cast<long long>(deaths_));
    std::printf("%llu seeds, %zu violations, %.0f per second\n",
                static_cast<unsigned long long>(seeds_), failed_.size(),
                static_cast<double>(seeds_) / seconds);
  }

  void ShowSmaller(uint64_t seed) const {
    SeedOptions options;
    options.seed = seed;
    options.plant = plant_;
    const SeedResult whole = RunSeed(options);
    if (whole.violations.empty()) return;  // it takes another course each time
    const Shrunk shrunk = Shrink(options);
    // A smaller run may have other plans, and more of them.
    const auto& left_out = shrunk.options.left_out.plans;
    const auto left = shrunk.result.plans -
                      std::distance(left_out.begin(), left_out.upper_bound(shrunk.result.plans));
    std::printf(
        "seed %llu, smaller after %d runs: %td of %d plans, %zu of %zu faults, %lld of %lld "
        "events\n",
        static_cast<unsigned long long>(seed), shrunk.runs, left, whole.plans,
        shrunk.result.faults.size(), whole.faults.size(),
        static_cast<long long>(shrunk.result.events), static_cast<long long>(whole.events));
    std::printf("  tests/run.sh simulation %s\n", FlagsOf(shrunk.options).c_str());
  }

  const uint64_t seeds_;
  const Plant plant_;
  const uint64_t end_;
  std::atomic<uint64_t> next_;
  absl::Mutex mutex_;
  uint64_t done_ = 0;
  std::vector<uint64_t> failed_;
  int64_t events_ = 0;
  int64_t tasks_ = 0;
  int64_t operations_ = 0;
  int64_t deaths_ = 0;
  std::map<std::string, int64_t> seen_;
};

int Replay(SeedOptions options) {
  options.keep_trace = true;
  const SeedResult result = RunSeed(options);
  for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
  Report(options.seed, result);
  std::printf("trace %016llx, %zu violations\n", static_cast<unsigned long long>(result.trace_hash),
              result.violations.size());
  return result.violations.empty() ? 0 : 1;
}

int ListPlants() {
  for (const PlantedDefect& defect : AllPlants()) {
    std::printf("%-22s %s\n", defect.name, defect.what);
  }
  return 0;
}

int FindPlants() {
  int missed = 0;
  for (const PlantedDefect& defect : AllPlants()) {
    SeedOptions options;
    options.plant = defect.plant;
    SeedResult result = RunSeed(options);
    while (result.violations.empty() && options.seed < kMostSeedsToFindAPlant) {
      ++options.seed;
      result = RunSeed(options);
    }
    const bool found = !result.violations.empty();
    if (!found) ++missed;
    std::printf("%-22s %s\n", defect.name,
                found ? absl::StrCat("seed ", options.seed, ": ", result.violations.front()).c_str()
                      : absl::StrCat("not found by ", options.seed, " seeds").c_str());
  }
  std::printf("%zu planted defects, %d not found\n", AllPlants().size(), missed);
  return missed == 0 ? 0 : 1;
}

std::vector<std::string> FaultNames() {
  std::vector<std::string> names;
  for (const FaultPlan::NamedRate& rate : FaultPlan::Rates()) names.emplace_back(rate.name);
  return names;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "The control plane in virtual time.\n\nWithout any of these, or with --gtest_ flags, its own "
      "tests run.",
      "simulation");
  uint64_t seeds = 0;
  uint64_t from = 1;
  unsigned jobs = 1;
  bool list_plants = false;
  bool find_plants = false;
  SeedOptions one;
  std::vector<std::string> faults;
  std::vector<int> plans;
  std::map<std::string, Plant> known_plants;
  for (const PlantedDefect& defect : AllPlants()) known_plants[defect.name] = defect.plant;

  app.add_option("--seeds", seeds,
                 "run so many; what fails is made smaller and shown with how to replay it");
  app.add_option("--from", from, "the first of them; 1");
  app.add_option("--jobs", jobs, "threads; 1")->check(CLI::Range(1, 256));
  CLI::Option* const replay =
      app.add_option("--replay", one.seed, "run this seed and print what happens");
  app.add_option("--without-faults", faults, "what it leaves out, by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(FaultNames()))
      ->needs(replay);
  app.add_option("--without-plans", plans,
                 "numbers of plans (wishes, partitions) that it leaves out")
      ->delimiter(',')
      ->needs(replay);
  app.add_option("--plant", one.plant, "with a planted defect")
      ->transform(CLI::Transformer(known_plants))
      ->option_text("NAME");
  app.add_flag("--plants", list_plants, "list the planted defects");
  app.add_flag("--find-plants", find_plants, "look for a seed that notices each of them");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  one.left_out.faults.insert(faults.begin(), faults.end());
  one.left_out.plans.insert(plans.begin(), plans.end());
  if (list_plants) return ListPlants();
  if (find_plants) return FindPlants();
  if (replay->count() > 0) return Replay(one);
  if (seeds > 0) return ManySeeds(from, seeds, one.plant).Run(jobs);
  std::fputs(app.help().c_str(), stderr);
  return 2;
}

}  // namespace
}  // namespace mtp::simulation

int main(int argc, char** argv) {
  const bool tests = argc == 1 || std::string_view(argv[1]).substr(0, 8) == "--gtest_";
  if (!tests) return mtp::simulation::Main(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
