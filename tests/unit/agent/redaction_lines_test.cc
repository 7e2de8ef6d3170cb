#include <gmock/gmock.h>

#include "agent/tenants/redaction.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(LastLineList, HasTheLastLinesThatAreNotEmptyWithoutSecrets) {
  v1::TenantSecrets secrets;
  secrets.set_telegram_token("123:planted-secret");
  EXPECT_THAT(
      LastLineList("one\n\ntwo 123:planted-secret\n  \nthree\x1b[31m red\n", secrets, 2, 100),
      ElementsAre("two [redacted]", "three red"));
}

TEST(LastLineList, IsBoundedAndValidText) {
  std::string output;
  for (int i = 0; i < 50; ++i) output += std::string(600, 'x') + "\xc3\xa4\xff\n";
  const auto lines = LastLineList(output, v1::TenantSecrets(), 20, 500);
  ASSERT_THAT(lines, SizeIs(20));
  EXPECT_EQ(lines[0], std::string(500, 'x'));
  EXPECT_THAT(LastLineList("\xc3\xa4\xff", v1::TenantSecrets(), 20, 500), ElementsAre("\xc3\xa4?"));
}

}  // namespace
}  // namespace mtp
