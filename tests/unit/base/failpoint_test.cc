// Where MTP_FAILPOINT kills, and where it does not.
#include "common/base/failpoint.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

namespace mtp {
namespace {

class Failpoint : public ::testing::Test {
 protected:
  ~Failpoint() override { unsetenv("MTP_FAILPOINT"); }

  static void Pass(const char* variable, const std::string& point, const std::string& key) {
    setenv("MTP_FAILPOINT", variable, 1);
    FailpointFromEnvironment()(point, key);
  }
};

using FailpointDeathTest = Failpoint;

TEST_F(Failpoint, IsNullWithoutTheVariable) {
  unsetenv("MTP_FAILPOINT");
  EXPECT_EQ(FailpointFromEnvironment(), nullptr);
}

TEST_F(Failpoint, LetsOtherPointsAndKeysPass) {
  Pass("after-step:/stop", "before-step", "ULID/stop");
  Pass("after-step:/stop", "after-step", "ULID/start");
  Pass("after-phase:/stop:#2", "after-phase", "ULID/stop#1");
}

TEST_F(FailpointDeathTest, KillsAtThePointWithAKeyThatHoldsEveryPart) {
  EXPECT_EXIT(Pass("after-step", "after-step", "ULID/stop"), ::testing::KilledBySignal(SIGKILL),
              "");
  EXPECT_EXIT(Pass("after-phase:/forget:#2", "after-phase", "ULID/forget/local/h1#2"),
              ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(Failpoint, TellsWhatIsPassedWhenItTraces) {
  ::testing::internal::CaptureStderr();
  Pass("trace", "after-step", "ULID/stop");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "failpoint after-step ULID/stop\n");
}

}  // namespace
}  // namespace mtp
