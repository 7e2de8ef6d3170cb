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

TEST(LastLineList, HidesASecretThatOnlyCleaningMakes) {
  v1::TenantSecrets secrets;
  secrets.set_openai_key("what?ever");
  EXPECT_THAT(LastLineList("what\xff"
                           "ever\nwha\x1b[0mt?ever",
                           secrets, 2, 100),
              ElementsAre("[redacted]", "[redacted]"));
}

TEST(RedactSecrets, LeavesNothingOfASecretThatHoldsAnother) {
  v1::TenantSecrets secrets;
  secrets.set_anthropic_key("sk-test");
  secrets.set_openai_key("sk-test-the-rest");
  EXPECT_EQ(RedactSecrets("a sk-test-the-rest b sk-test c", secrets),
            "a [redacted] b [redacted] c");
}

TEST(LastLines, HidesASecretThatOnlyTheLinesTogetherMake) {
  v1::TenantSecrets secrets;
  secrets.set_openai_key("one | two");
  EXPECT_EQ(LastLines("one\ntwo\n", secrets, 2, 100), "[redacted]");
}

TEST(LastLines, IsCutBetweenCharacters) {
  EXPECT_EQ(LastLines("\xe2\x82\xac\xe2\x82\xac", v1::TenantSecrets(), 1, 5), "…\xe2\x82\xac");
}

}  // namespace
}  // namespace mtp
