// What OpenClaw says of its channels, and what is made of it.
#include "agent/openclaw/channels.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

using ::testing::SizeIs;

std::string Answer(const std::string& accounts) {
  return absl::StrCat(R"({"channels":{},"channelAccounts":{"telegram":[)", accounts, "]}}");
}

TEST(LostChannel, IsTheFirstThatIsInUseAndNotConnected) {
  EXPECT_EQ(*LostChannel(Answer(R"({"enabled":true,"configured":true,"connected":true})")), "");
  EXPECT_EQ(*LostChannel(Answer(R"({"connected":true},{"connected":false,"lastError":"gone"})")),
            "telegram is not connected: gone");
  EXPECT_EQ(*LostChannel(Answer(R"({"connected":false,"lastError":null})")),
            "telegram is not connected");
}

TEST(LostChannel, IsNoneThatIsOffOrSaysNothingOfAConnection) {
  for (const char* account :
       {R"({"enabled":false,"connected":false})", R"({"configured":false,"connected":false})",
        R"({"linked":false,"connected":false})", "{}", R"({"connected":null})",
        R"({"connected":"no"})", "3", "null"}) {
    EXPECT_EQ(*LostChannel(Answer(account)), "") << account;
  }
  EXPECT_EQ(*LostChannel(R"({"channelAccounts":{}})"), "");
  EXPECT_EQ(*LostChannel(R"({"channelAccounts":{"telegram":3}})"), "");
}

TEST(LostChannel, WhatItSaysIsOneShortLineOfText) {
  const std::string error(300, 'x');
  const auto lost = LostChannel(
      Answer(absl::StrCat(R"({"connected":false,"lastError":"first\nsecond )", error, R"("})")));
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->find('\n'), std::string::npos);
  EXPECT_THAT(*lost, SizeIs(::testing::Le(300)));
}

TEST(LostChannel, IsNotKnownOfAnyOtherAnswer) {
  for (const char* other : {"", "null", "[]", "{}", R"({"channelAccounts":3})", "{"}) {
    EXPECT_TRUE(absl::IsInternal(LostChannel(other).status())) << other;
  }
}

}  // namespace
}  // namespace mtp
