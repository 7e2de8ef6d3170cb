// Who is told of what agents report.
#include "controller/state/observations.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

class ObservationsTest : public ::testing::Test {
 protected:
  void Connect(const std::string& host, bool connected) {
    observations_.Update(host, [connected](HostObservation& seen) { seen.connected = connected; });
  }

  Observations observations_;
  int changes_ = 0;
  int turns_ = 0;
  std::shared_ptr<void> listening_ = observations_.Listen([this] { ++changes_; });
  std::shared_ptr<void> listening_to_turns_ =
      observations_.ListenToConnections([this] { ++turns_; });
};

TEST_F(ObservationsTest, EachChangeIsToldAndATurnToThoseWhoAskForTurns) {
  Connect("h1", true);
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(turns_, 1);
  observations_.Update("h1", [](HostObservation& seen) { seen.status.set_used_mib(1); });
  EXPECT_EQ(changes_, 2);
  EXPECT_EQ(turns_, 1);
  Connect("h1", false);
  EXPECT_EQ(changes_, 3);
  EXPECT_EQ(turns_, 2);
}

TEST_F(ObservationsTest, AHostThatLeavesIsATurnOnlyWhenItWasConnected) {
  Connect("h1", true);
  Connect("h2", false);
  ASSERT_EQ(turns_, 1);
  observations_.Remove("h2");
  observations_.Remove("h3");
  EXPECT_EQ(turns_, 1);
  observations_.Remove("h1");
  EXPECT_EQ(turns_, 2);
  EXPECT_TRUE(observations_.Get().empty());
  EXPECT_FALSE(observations_.GetHost("h1").connected);
}

TEST_F(ObservationsTest, WhoHasLetGoIsNotToldAnyMore) {
  listening_.reset();
  listening_to_turns_.reset();
  Connect("h1", true);
  EXPECT_EQ(changes_, 0);
  EXPECT_EQ(turns_, 0);
}

}  // namespace
}  // namespace mtp
