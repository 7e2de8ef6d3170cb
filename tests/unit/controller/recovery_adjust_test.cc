#include <gtest/gtest.h>

#include <limits>

#include "controller/recovery/adjust.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

// The epoch of a name, after a recovery from a copy that has this one.
int64_t Recovered(int64_t copied, absl::Time now) {
  state::v1::EpochRecord epoch;
  epoch.set_epoch(copied);
  state::v1::StateCopy copy;
  auto* record = copy.add_records();
  record->set_key("/epochs/acme");
  record->set_value(epoch.SerializeAsString());
  AdjustState(&copy, SecretBox::ForTest(), now);
  EXPECT_TRUE(epoch.ParseFromString(copy.records(0).value()));
  return epoch.epoch();
}

TEST(AdjustState, RaisesEpochsButNotBeyondTheirEnd) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Recovered(5, now), 1000);
  EXPECT_EQ(Recovered(2000, now), 2001);
  EXPECT_EQ(Recovered(kEnd, now), kEnd);
}

}  // namespace
}  // namespace mtp
