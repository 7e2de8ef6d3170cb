#include "tests/simulation/shrink.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace mtp::simulation {
namespace {

constexpr int kMostRuns = 600;

class Shrinker {
 public:
  explicit Shrinker(const SeedOptions& options)
      : found_{options, RunSeed(options), 1}, events_(found_.result.events) {
    promise_ = PromiseOf(found_.result.violations.front());
  }

  Shrunk Run() {
    bool smaller = true;
    while (smaller) {
      smaller = LeaveOutFaults();
      // Halves first, then ever smaller pieces, at last single plans.
      for (size_t piece = Plans().size(); piece > 0; piece /= 2) {
        smaller = LeaveOutPlans(piece) || smaller;
      }
    }
    return std::move(found_);
  }

 private:
  std::vector<int> Plans() const {
    std::vector<int> plans;
    for (int number = 1; number <= found_.result.plans; ++number) {
      if (found_.options.left_out.plans.count(number) == 0) plans.push_back(number);
    }
    return plans;
  }

  bool LeaveOutFaults() {
    bool smaller = false;
    for (const std::string& fault : std::set<std::string>(found_.result.faults)) {
      LeftOut more = found_.options.left_out;
      more.faults.insert(fault);
      smaller = Try(std::move(more)) || smaller;
    }
    return smaller;
  }

  bool LeaveOutPlans(size_t piece) {
    bool smaller = false;
    const std::vector<int> plans = Plans();
    for (size_t begin = 0; begin < plans.size(); begin += piece) {
      LeftOut more = found_.options.left_out;
      more.plans.insert(
          plans.begin() + static_cast<std::ptrdiff_t>(begin),
          plans.begin() + static_cast<std::ptrdiff_t>(std::min(begin + piece, plans.size())));
      smaller = Try(std::move(more)) || smaller;
    }
    return smaller;
  }

  // Keeps it when the same promise is broken, in no longer a history than the whole one.
  bool Try(LeftOut left_out) {
    if (found_.runs >= kMostRuns) return false;
    ++found_.runs;
    SeedOptions options = found_.options;
    options.left_out = std::move(left_out);
    SeedResult result = RunSeed(options);
    const bool same =
        result.events <= events_ &&
        std::any_of(result.violations.begin(), result.violations.end(),
                    [this](const std::string& text) { return PromiseOf(text) == promise_; });
    if (same) {
      found_.options = std::move(options);
      found_.result = std::move(result);
    }
    return same;
  }

  Shrunk found_;
  const int64_t events_;
  std::string promise_;
};

}  // namespace

Shrunk Shrink(const SeedOptions& options) { return Shrinker(options).Run(); }

std::string PromiseOf(const std::string& violation) {
  std::vector<absl::string_view> words = absl::StrSplit(violation, ' ', absl::SkipEmpty());
  const auto names_something = [](absl::string_view word) {
    return std::any_of(word.begin(), word.end(),
                       [](unsigned char c) { return absl::ascii_isdigit(c) || c == '/'; });
  };
  words.erase(std::remove_if(words.begin(), words.end(), names_something), words.end());
  return absl::StrJoin(words, " ");
}

std::string FlagsOf(const SeedOptions& options) {
  std::string flags = absl::StrCat("--replay ", options.seed);
  for (const PlantedDefect& defect : AllPlants()) {
    if (defect.plant == options.plant) absl::StrAppend(&flags, " --plant ", defect.name);
  }
  const LeftOut& left_out = options.left_out;
  if (!left_out.faults.empty()) {
    absl::StrAppend(&flags, " --without-faults ", absl::StrJoin(left_out.faults, ","));
  }
  if (!left_out.plans.empty()) {
    absl::StrAppend(&flags, " --without-plans ", absl::StrJoin(left_out.plans, ","));
  }
  return flags;
}

}  // namespace mtp::simulation
