#include "tests/simulation/fault_plan.h"

namespace mtp::simulation {
namespace {

// Off in half of the seeds; else from 1 to `most`, each doubling equally likely.
uint64_t Rate(testing::SeededRandom& random, uint64_t most) {
  if (random.Chance(500)) return 0;
  uint64_t doublings = 0;
  while ((uint64_t{2} << doublings) <= most) ++doublings;
  return uint64_t{1} << random.Below(doublings + 1);
}

}  // namespace

const std::vector<FaultPlan::NamedRate>& FaultPlan::Rates() {
  static const auto* const rates = new std::vector<NamedRate>{
      {"disk-full", &FaultPlan::disk_full},
      {"disk-error", &FaultPlan::disk_error},
      {"crash-before-commit", &FaultPlan::crash_before_commit},
      {"crash-after-commit", &FaultPlan::crash_after_commit},
      {"crash-at-point", &FaultPlan::crash_at_point},
      {"lost-request", &FaultPlan::lost_request},
      {"lost-reply", &FaultPlan::lost_reply},
      {"lost-event", &FaultPlan::lost_event},
      {"failing-action", &FaultPlan::failing_action},
      {"retrying-step", &FaultPlan::retrying_step},
      {"failing-step", &FaultPlan::failing_step},
      {"cut-host", &FaultPlan::cut_host},
      {"dying-agent", &FaultPlan::dying_agent},
      {"wall-jump", &FaultPlan::wall_jump},
      {"cancel", &FaultPlan::cancel},
      {"repeated-request", &FaultPlan::repeated_request},
  };
  return *rates;
}

FaultPlan FaultPlan::Draw(testing::SeededRandom& random) {
  FaultPlan plan;
  plan.disk_full = Rate(random, 256);
  plan.disk_error = Rate(random, 256);
  plan.crash_before_commit = Rate(random, 64);
  plan.crash_after_commit = Rate(random, 64);
  plan.crash_at_point = Rate(random, 32);
  plan.lost_request = Rate(random, 512);
  plan.lost_reply = Rate(random, 512);
  plan.lost_event = Rate(random, 1000);
  plan.failing_action = Rate(random, 256);
  plan.retrying_step = Rate(random, 256);
  plan.failing_step = Rate(random, 128);
  plan.cut_host = Rate(random, 512);
  plan.dying_agent = Rate(random, 512);
  plan.wall_jump = Rate(random, 256);
  plan.cancel = Rate(random, 512);
  plan.repeated_request = Rate(random, 512);
  return plan;
}

void FaultPlan::StopFaults() {
  disk_full = disk_error = 0;
  crash_before_commit = crash_after_commit = crash_at_point = 0;
  lost_request = lost_reply = lost_event = 0;
  retrying_step = 0;
  cut_host = dying_agent = wall_jump = 0;
}

}  // namespace mtp::simulation
