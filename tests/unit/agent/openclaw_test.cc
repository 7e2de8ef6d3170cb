#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/openclaw/gateway_frames.h"
#include "agent/openclaw/probe.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Probe, IsReadyOnlyWhenReadyzSaysSo) {
  const ProbeResult ready =
      InterpretProbe(200, R"({"ready":true,"failing":[],"uptimeMs":45777})", 200);
  EXPECT_TRUE(ready.ready);
  EXPECT_TRUE(ready.live);
  EXPECT_EQ(ready.uptime, absl::Milliseconds(45777));
  EXPECT_EQ(ready.message, "ready");
  EXPECT_FALSE(InterpretProbe(200, "<html>", 200).ready);
  EXPECT_FALSE(InterpretProbe(503, R"({"ready":true})", 200).ready);
}

TEST(Probe, TellsWhatFails) {
  const ProbeResult failing =
      InterpretProbe(503, R"({"ready":false,"failing":["telegram","agent-database:main"]})", 200);
  EXPECT_FALSE(failing.ready);
  EXPECT_TRUE(failing.live);
  EXPECT_THAT(failing.failing, ElementsAre("telegram", "agent-database:main"));
  EXPECT_EQ(failing.message, "not ready: telegram, agent-database:main");
}

TEST(Probe, ASilentGatewayIsNotLive) {
  const ProbeResult silent = InterpretProbe(0, "", 0);
  EXPECT_FALSE(silent.live);
  EXPECT_EQ(silent.message, "the gateway does not answer");
}

TEST(Probe, TakesAnyAnswerOfAHostileContainer) {
  std::string many = R"({"ready":false,"failing":[)";
  for (int i = 0; i < 1000; ++i) many += "\"" + std::string(500, 'x') + "\",";
  const ProbeResult result = InterpretProbe(503, many + "7]}", 200);
  EXPECT_LE(result.message.size(), 5000u);
  const ProbeResult control = InterpretProbe(503, R"({"failing":["\u001b[31m\nx"]})", 200);
  EXPECT_THAT(control.failing, ElementsAre("?[31m?x"));
  for (const std::string body : {"", "null", "[]", "7", R"({"failing":{"a":1},"uptimeMs":"x"})"}) {
    EXPECT_FALSE(InterpretProbe(503, body, 200).ready);
  }
}

TEST(GatewayFrames, ConnectAsksForEveryScopeFromTheLoopback) {
  const auto frame = nlohmann::json::parse(ConnectFrame("1", SecretString("t\"o\\k")));
  EXPECT_EQ(frame["method"], "connect");
  EXPECT_EQ(frame["params"]["client"]["id"], "gateway-client");
  EXPECT_EQ(frame["params"]["client"]["mode"], "backend");
  EXPECT_EQ(frame["params"]["auth"]["token"], "t\"o\\k");
  EXPECT_THAT(frame["params"]["scopes"], ::testing::Contains("operator.admin"));
}

TEST(GatewayFrames, RequestsNeedAMethodAndAnObject) {
  EXPECT_EQ(*RequestFrame("2", "health", ""),
            R"({"id":"2","method":"health","params":{},"type":"req"})");
  EXPECT_TRUE(RequestFrame("2", "config.patch", R"({"raw":"{}"})").ok());
  for (const std::string params : {"[]", "7", "{", "null", "\"x\"", "\xff"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RequestFrame("2", "health", params).status())) << params;
  }
  const std::string too_long(129, 'a');
  for (const std::string& method :
       {std::string(), std::string("a b"), std::string("a\"b"), std::string("a\n"), too_long}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RequestFrame("2", method, "").status())) << method;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      RequestFrame("2", "x", "{\"a\":\"" + std::string(1 << 20, 'x') + "\"}").status()));
}

absl::Status ErrorOf(const std::string& error) {
  return ParseGatewayFrame(R"({"type":"res","id":"1","ok":false,"error":)" + error + "}")->status;
}

TEST(GatewayFrames, ErrorsHaveTheirCodes) {
  EXPECT_TRUE(absl::IsUnauthenticated(
      ErrorOf(R"({"code":"INVALID_REQUEST","details":{"code":"AUTH_TOKEN_MISMATCH"}})")));
  EXPECT_TRUE(absl::IsPermissionDenied(
      ErrorOf(R"({"code":"FORBIDDEN","message":"missing scope: operator.read"})")));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ErrorOf(R"({"code":"INVALID_REQUEST","message":"unknown method: x"})")));
  EXPECT_TRUE(absl::IsUnavailable(ErrorOf(R"({"code":"UNAVAILABLE"})")));
  EXPECT_TRUE(absl::IsInternal(ErrorOf(R"({"code":"SOMETHING_NEW","message":"words"})")));
  EXPECT_THAT(std::string(ErrorOf(R"({"code":"SOMETHING_NEW","message":"words"})").message()),
              HasSubstr("SOMETHING_NEW: words"));
  EXPECT_TRUE(absl::IsInternal(ErrorOf("null")));
  EXPECT_THAT(std::string(ErrorOf(R"({"code":"a\nb","message":"c\nd"})").message()),
              Not(HasSubstr("\n")));
}

TEST(GatewayFrames, OnlyWhatHasNotRunIsTriedAgain) {
  const auto retry = [](const std::string& error) {
    return ParseGatewayFrame(R"({"type":"res","id":"1","ok":false,"error":)" + error + "}")->retry;
  };
  EXPECT_TRUE(retry(R"({"code":"UNAVAILABLE","details":{"reason":"startup-sidecars"}})"));
  EXPECT_TRUE(retry(R"({"code":"UNAVAILABLE","retryable":true})"));
  EXPECT_FALSE(retry(R"({"code":"UNAVAILABLE"})"));
  EXPECT_FALSE(retry(R"({"code":"INTERNAL","retryable":true})"));
}

TEST(GatewayFrames, OthersArePassedOverAndGarbageIsAnError) {
  EXPECT_EQ(ParseGatewayFrame(R"({"type":"event","event":"connect.challenge"})")->kind,
            GatewayFrame::Kind::kChallenge);
  EXPECT_EQ(ParseGatewayFrame(R"({"type":"event","event":"tick"})")->kind,
            GatewayFrame::Kind::kOther);
  EXPECT_EQ(ParseGatewayFrame(R"({"type":7})")->kind, GatewayFrame::Kind::kOther);
  EXPECT_EQ(ParseGatewayFrame(R"({"type":"res","id":"2","ok":true})")->payload_json, "null");
  for (const std::string text : {"", "[]", "7", "{", "\xff"}) {
    EXPECT_TRUE(absl::IsInternal(ParseGatewayFrame(text).status())) << text;
  }
}

}  // namespace
}  // namespace mtp
