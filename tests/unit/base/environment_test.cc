#include "common/base/environment.h"

#include <gmock/gmock.h>

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Variables = google::protobuf::Map<std::string, std::string>;

Variables One(const std::string& name, const std::string& value = "x") {
  Variables variables;
  variables[name] = value;
  return variables;
}

TEST(Environment, TakesOrdinaryVariables) {
  for (const char* name : {"TZ", "LC_ALL", "_x", "http_proxy", "A1"}) {
    EXPECT_TRUE(CheckEnvironment(One(name)).ok()) << name;
  }
  EXPECT_TRUE(CheckEnvironment(One("TZ", std::string(1024, 'x'))).ok());
  EXPECT_TRUE(CheckEnvironment(One("TZ", "")).ok());
  EXPECT_TRUE(CheckEnvironment({}).ok());
}

TEST(Environment, RefusesWhatIsNoName) {
  for (const std::string& name : {std::string(), std::string("1A"), std::string("A-B"),
                                  std::string("A=B"), std::string("A B"), std::string(65, 'A')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckEnvironment(One(name)))) << name;
  }
}

TEST(Environment, RefusesWhatTheSystemSetsItself) {
  for (const char* name : {"OPENCLAW_GATEWAY_TOKEN", "TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY",
                           "NODE_OPTIONS", "XDG_CACHE_HOME", "PATH", "LD_PRELOAD"}) {
    EXPECT_THAT(CheckEnvironment(One(name)).message(), HasSubstr(name));
  }
}

TEST(Environment, RefusesValuesOfSeveralLinesWithoutShowingThem) {
  for (const std::string& value : {std::string("CANARY\nx"), std::string("CANARY\x7f"),
                                   std::string("CANARY") + std::string(1024, 'x')}) {
    EXPECT_THAT(CheckEnvironment(One("TZ", value)).message(),
                AllOf(HasSubstr("the value of TZ"), Not(HasSubstr("CANARY"))));
  }
}

TEST(Environment, HasABound) {
  Variables variables;
  for (int i = 0; i < 33; ++i) variables["V" + std::to_string(i)] = "x";
  EXPECT_TRUE(absl::IsInvalidArgument(CheckEnvironment(variables)));
}

}  // namespace
}  // namespace mtp
