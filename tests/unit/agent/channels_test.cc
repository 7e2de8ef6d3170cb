// What OpenClaw says of its channels, and what is made of it.
#include "agent/openclaw/channels.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

std::string Answer(const std::string& accounts) {
  return absl::StrCat(R"({"channels":{},"channelAccounts":{"telegram":[)", accounts, "]}}");
}

std::vector<std::string> Words(const absl::StatusOr<std::vector<LostChannel>>& channels) {
  std::vector<std::string> words;
  if (!channels.ok()) return {channels.status().ToString()};
  for (const LostChannel& one : *channels) words.push_back(one.why);
  return words;
}

// What is lost, and what is held back, in words.
std::vector<std::string> Lost(const std::string& answer) { return Words(LostChannels(answer)); }
std::vector<std::string> HeldBack(const std::string& answer) {
  return Words(HeldBackChannels(answer));
}

TEST(LostChannels, AreThoseInUseAndNotConnected) {
  EXPECT_THAT(Lost(Answer(R"({"enabled":true,"configured":true,"connected":true})")),
              ElementsAre());
  EXPECT_THAT(Lost(Answer(R"({"connected":true},{"connected":false,"lastError":"gone"})")),
              ElementsAre("telegram is not connected: gone"));
  EXPECT_THAT(Lost(Answer(R"({"connected":false,"lastError":null})")),
              ElementsAre("telegram is not connected"));
}

TEST(LostChannels, EachIsNamedOnce) {
  const auto lost = LostChannels(
      R"({"channelAccounts":{"discord":[{"connected":false}],"matrix":[{"connected":true}],)"
      R"("telegram":[{"connected":false,"lastError":"a"},{"connected":false,"lastError":"b"}]}})");
  ASSERT_TRUE(lost.ok()) << lost.status();
  ASSERT_THAT(*lost, SizeIs(2));
  EXPECT_EQ((*lost)[0].channel, "discord");
  EXPECT_EQ((*lost)[1].channel, "telegram");
  EXPECT_EQ((*lost)[1].why, "telegram is not connected: a");
}

TEST(LostChannels, AreNoneThatAreOffOrSayNothingOfAConnection) {
  for (const char* account :
       {R"({"enabled":false,"connected":false})", R"({"configured":false,"connected":false})",
        R"({"linked":false,"connected":false})", "{}", R"({"connected":null})",
        R"({"connected":"no"})", "3", "null"}) {
    EXPECT_THAT(Lost(Answer(account)), ElementsAre()) << account;
  }
  EXPECT_THAT(Lost(R"({"channelAccounts":{}})"), ElementsAre());
  EXPECT_THAT(Lost(R"({"channelAccounts":{"telegram":3}})"), ElementsAre());
}

TEST(LostChannels, WhatTheySayIsOneShortLineOfText) {
  const std::string error(300, 'x');
  const auto lost = Lost(
      Answer(absl::StrCat(R"({"connected":false,"lastError":"first\nsecond )", error, R"("})")));
  ASSERT_THAT(lost, SizeIs(1));
  EXPECT_EQ(lost[0].find('\n'), std::string::npos);
  EXPECT_THAT(lost[0], SizeIs(::testing::Le(300)));
}

// As 2026.9.6 answers after its restart-loop breaker has tripped.
constexpr char kTripped[] =
    R"({"accountId":"default","enabled":true,"lastStartAt":null,"lastStopAt":null,)"
    R"("restartPending":false,"lifecycle":"stopped","configured":true,"running":false,)"
    R"("lastError":"gateway restart-loop breaker tripped","healthState":"not-running"})";

TEST(HeldBackChannels, AreThoseThatWereNotEvenTried) {
  EXPECT_THAT(HeldBack(Answer(kTripped)),
              ElementsAre("telegram was not started: gateway restart-loop breaker tripped"));
  EXPECT_THAT(Lost(Answer(kTripped)),
              ElementsAre("telegram is not connected: gateway restart-loop breaker tripped"));
}

TEST(HeldBackChannels, AreNoneThatRunWereStoppedFailedOrAreStillToBeStarted) {
  for (const char* account :
       {R"({"running":true,"lastStartAt":null,"lastError":"x"})",
        R"({"running":false,"lastStartAt":1795865529014,"lastError":"401: Unauthorized"})",
        R"({"running":false,"lastStopAt":1795865529014,"lastError":"x"})",
        R"({"running":false,"restartPending":true,"lastError":"x"})",
        R"({"running":false,"lastStartAt":null,"lastError":null})", R"({"running":false})",
        R"({"enabled":false,"running":false,"lastError":"x"})",
        R"({"configured":false,"running":false,"lastError":"x"})", R"({"lastError":"x"})", "3"}) {
    EXPECT_THAT(HeldBack(Answer(account)), ElementsAre()) << account;
  }
}

TEST(HeldBackChannels, AreNotKnownOfAnyOtherAnswer) {
  for (const char* other : {"", "null", "{}", R"({"channelAccounts":3})"}) {
    EXPECT_TRUE(absl::IsInternal(HeldBackChannels(other).status())) << other;
  }
}

TEST(LostChannels, AreNotKnownOfAnyOtherAnswer) {
  for (const char* other : {"", "null", "[]", "{}", R"({"channelAccounts":3})", "{"}) {
    EXPECT_TRUE(absl::IsInternal(LostChannels(other).status())) << other;
  }
}

}  // namespace
}  // namespace mtp
