// What is said about an engine that is not what a host needs.
#include "agent/docker/engine_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/docker/engine_answers.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

std::string Advice(const std::string& version, bool live_restore) {
  const auto info = ParseEngineInfo(
      live_restore ? R"({"LiveRestoreEnabled":true})" : R"({"LiveRestoreEnabled":false})",
      R"({"Version":")" + version + R"("})");
  return info.ok() ? EngineAdvice(*info) : info.status().ToString();
}

TEST(EngineAdvice, ThereIsNoneForWhatIsGood) {
  for (const char* version : {"26.1.5+dfsg1", "24.0.0", "28.2.2", "dev", "", "library-import"}) {
    EXPECT_EQ(Advice(version, true), "") << version;
  }
}

TEST(EngineAdvice, AnOldEngineIsNamed) {
  EXPECT_EQ(Advice("20.10.24+dfsg1", true),
            "its Docker Engine 20.10.24+dfsg1 is too old; 24 or newer is needed");
  EXPECT_THAT(Advice("23.0.6", false), HasSubstr("too old"));
}

TEST(EngineAdvice, WithoutLiveRestoreItSaysWhatThatMeans) {
  EXPECT_THAT(Advice("26.1.5", false), HasSubstr("\"live-restore\": true"));
}

}  // namespace
}  // namespace mtp
