#include "tests/load/steady.h"

#include <absl/time/clock.h>

#include "mtp/v1/fleet.grpc.pb.h"
#include "tests/load/call.h"

namespace mtp::load {
namespace {

constexpr int kNewEvery = 10;

absl::Status ReadStatus(const std::shared_ptr<grpc::Channel>& channel) {
  v1::FleetStatus status;
  return Call(channel, &v1::FleetService::Stub::GetFleetStatus, v1::GetFleetStatusRequest(),
              &status);
}

}  // namespace

void CallSteadily(const Target& target, const Steady& steady, const std::atomic<bool>& ends,
                  Figures& figures) {
  const absl::Time start = absl::Now();
  const absl::Duration pause = absl::Seconds(steady.parallel / steady.rate);
  InParallel(target, steady.parallel, [&](int caller, const auto& lasting) {
    absl::Time due = start + pause * caller / steady.parallel;
    for (int call = 0; !ends && due < start + steady.most; ++call, due += pause) {
      absl::SleepFor(due - absl::Now());
      const bool is_new = (call + caller) % kNewEvery == 0;
      const absl::Time begun = absl::Now();
      const absl::Status status = ReadStatus(is_new ? Connect(target) : lasting);
      figures.Add(is_new ? "new" : "lasting", absl::Now() - begun, status);
    }
  });
}

}  // namespace mtp::load
