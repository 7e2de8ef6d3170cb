#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "agent/docker/engine_answers.h"
#include "agent/docker/output_frames.h"

namespace mtp {
namespace {

TEST(EngineAnswers, ReadsAContainer) {
  const auto details = ParseContainerDetails(R"({
    "Id":"0123","Name":"/mtp-acme","Image":"sha256:1","RestartCount":3,
    "State":{"Status":"running","Pid":42,"ExitCode":0,"OOMKilled":true,
             "StartedAt":"2026-11-24T11:24:48.63332929Z","FinishedAt":"0001-01-01T00:00:00Z",
             "Health":{"Status":"healthy"}},
    "Config":{"Image":"openclaw:1","Tty":true,"Labels":{"a":"b"}},
    "HostConfig":{"Memory":1024,"MemorySwap":-1,"RestartPolicy":{"Name":"unless-stopped"}},
    "NetworkSettings":{"Networks":{"n":{"NetworkID":"1","IPAddress":"10.0.0.2"}}}})");
  ASSERT_TRUE(details.ok()) << details.status();
  EXPECT_EQ(details->name, "mtp-acme");
  EXPECT_EQ(details->state, ContainerState::kRunning);
  EXPECT_EQ(details->health, ContainerHealth::kHealthy);
  EXPECT_EQ(details->pid, 42);
  EXPECT_TRUE(details->oom_killed);
  EXPECT_TRUE(details->started_at.has_value());
  EXPECT_FALSE(details->finished_at.has_value()) << "the engine's zero time";
  EXPECT_EQ(details->restart_count, 3);
  EXPECT_EQ(details->restart_policy, "unless-stopped");
  EXPECT_EQ(details->memory_limit_bytes, 1024);
  EXPECT_EQ(details->memory_swap_limit_bytes, -1);
  EXPECT_EQ(details->networks.at(0).ip_address, "10.0.0.2");
}

TEST(EngineAnswers, MistypedFieldsReadAsDefaults) {
  const auto details = ParseContainerDetails(R"({
    "Id":"0123","Name":7,"RestartCount":"many","State":{"Status":["running"],"Pid":-5,
    "ExitCode":1e300,"OOMKilled":"yes","StartedAt":12},"Config":[],"HostConfig":null,
    "NetworkSettings":{"Networks":[1]}})");
  ASSERT_TRUE(details.ok()) << details.status();
  EXPECT_EQ(details->state, ContainerState::kUnknown);
  EXPECT_EQ(details->pid, 0);
  EXPECT_EQ(details->restart_count, 0);
  EXPECT_FALSE(details->started_at.has_value());
  const auto huge = ParseContainerDetails(
      R"({"Id":"1","State":{"Pid":99999999999},"HostConfig":{"Memory":18446744073709551615}})");
  EXPECT_EQ(huge->pid, 2147483647);
  EXPECT_EQ(huge->memory_limit_bytes, 9223372036854775807);
}

TEST(EngineAnswers, AWordOfANewerEngineIsUnknownAndNotAnError) {
  const auto list = ParseContainerList(R"([{"Id":"1","State":"hibernating"}])");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->at(0).state, ContainerState::kUnknown);
}

TEST(EngineAnswers, MemoryIsWithoutInactiveCacheInBothCgroupVersions) {
  EXPECT_EQ(
      ParseContainerStats(R"({"memory_stats":{"usage":100,"stats":{"total_inactive_file":30}}})")
          ->memory_bytes,
      70);
  EXPECT_EQ(ParseContainerStats(R"({"memory_stats":{"usage":100,"stats":{"inactive_file":40}}})")
                ->memory_bytes,
            60);
  EXPECT_EQ(ParseContainerStats(R"({"memory_stats":{"usage":10,"stats":{"inactive_file":40}}})")
                ->memory_bytes,
            10);
  EXPECT_EQ(ParseContainerStats("{}")->memory_bytes, 0) << "not running";
}

TEST(EngineAnswers, AnyBytesAreSurvived) {
  std::mt19937 random(7);
  const std::string whole =
      R"({"Id":"1","State":{"Status":"running","Health":{"Status":"x"}},"Actor":{"Attributes":{}}})";
  for (int round = 0; round < 3000; ++round) {
    std::string text = whole.substr(0, random() % (whole.size() + 1));
    for (int flips = random() % 4; flips > 0 && !text.empty(); --flips) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    ParseContainerDetails(text).status().IgnoreError();
    ParseContainerList(text).status().IgnoreError();
    ParseContainerStats(text).status().IgnoreError();
    ParseImageDetails(text).status().IgnoreError();
    ParseRegistryDigest(text).status().IgnoreError();
    ParseEngineEvent(text).status().IgnoreError();
    ParseEngineInfo(text, text).status().IgnoreError();
    ParseExecState(text).status().IgnoreError();
    ParseCreatedId(text).status().IgnoreError();
    ParseErrorMessage(text);
  }
}

TEST(EngineAnswers, ADigestIsNothingElse) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  const auto answer = [](const std::string& text) {
    return ParseRegistryDigest(R"({"Descriptor":{"digest":")" + text + R"("},"Platforms":[]})");
  };
  EXPECT_EQ(answer(digest).value_or(""), digest);
  for (const std::string& wrong :
       {std::string(), std::string("sha256:"), digest + "a", std::string(71, 'a'),
        digest.substr(0, 70) + "/", digest.substr(0, 70) + "A", "sha512:" + std::string(64, 'a')}) {
    EXPECT_TRUE(absl::IsInternal(answer(wrong).status())) << wrong;
  }
  EXPECT_FALSE(ParseRegistryDigest(R"({"Descriptor":[1]})").ok());
  EXPECT_FALSE(ParseRegistryDigest("[]").ok());
}

TEST(EngineAnswers, DeepNestingIsRefused) {
  const std::string open(1'000'000, '[');
  const std::string close(1'000'000, ']');
  EXPECT_FALSE(ParseContainerList(open).ok());
  EXPECT_FALSE(ParseContainerList(open + close).ok());
  // Brackets in text are no nesting.
  EXPECT_TRUE(ParseContainerList("[{\"Id\":\"\\\"" + open + "\"}]").ok());
}

TEST(EngineAnswers, ErrorsAreOneLineOfBoundedLength) {
  EXPECT_EQ(ParseErrorMessage(R"({"message":"No such\ncontainer"})"), "No such container");
  EXPECT_EQ(ParseErrorMessage("<html>"), "no reason given");
  EXPECT_EQ(ParseErrorMessage(R"({"message":" \n"})"), "no reason given");
  EXPECT_LE(ParseErrorMessage("{\"message\":\"" + std::string(5000, 'x') + "\"}").size(), 500u);
}

TEST(EngineAnswers, ReferencesCannotLeaveTheirPath) {
  for (const std::string name : {"mtp-acme", "a", "0123456789abcdef", "a.b_c-d"}) {
    EXPECT_TRUE(IsContainerReference(name)) << name;
  }
  for (const std::string name : {"", ".", "..", "-a", "a/b", "a?b", "a#b", "a b", "a%2f", "a\n"}) {
    EXPECT_FALSE(IsContainerReference(name)) << name;
  }
}

std::string Frame(char stream, const std::string& bytes) {
  std::string head = {stream, 0, 0, 0};
  for (int shift = 24; shift >= 0; shift -= 8) {
    head.push_back(static_cast<char>(bytes.size() >> shift));
  }
  return head + bytes;
}

TEST(OutputFrames, AreTakenApartHoweverTheyAreCut) {
  const std::string all =
      Frame(1, "out") + Frame(2, "error") + Frame(1, "") + Frame(3, "engine") + Frame(1, "end");
  for (size_t piece = 1; piece <= all.size(); ++piece) {
    std::string out;
    std::string error;
    const OutputSink sink = [&](OutputStream stream, std::string_view bytes) {
      (stream == OutputStream::kStdout ? out : error).append(bytes);
      return true;
    };
    OutputFrames frames(sink);
    for (size_t at = 0; at < all.size(); at += piece) {
      ASSERT_TRUE(frames.Feed(std::string_view(all).substr(at, piece)).ok());
    }
    EXPECT_EQ(out, "outend");
    EXPECT_EQ(error, "errorengine");
    EXPECT_TRUE(frames.AtFrameEnd());
  }
}

TEST(OutputFrames, ComeInPiecesOfBoundedSizeAndStopOnRequest) {
  size_t largest = 0;
  int pieces = 0;
  const OutputSink sink = [&](OutputStream, std::string_view bytes) {
    largest = std::max(largest, bytes.size());
    return ++pieces < 3;
  };
  OutputFrames frames(sink);
  EXPECT_TRUE(absl::IsCancelled(frames.Feed(Frame(1, std::string(1 << 20, 'x')))));
  EXPECT_EQ(largest, 64u * 1024);
  EXPECT_EQ(pieces, 3);
}

TEST(OutputFrames, RefuseWhatIsNotFramed) {
  const OutputSink sink = [](OutputStream, std::string_view) { return true; };
  EXPECT_TRUE(absl::IsInternal(OutputFrames(sink).Feed("plain text of a terminal")));
  OutputFrames cut(sink);
  EXPECT_TRUE(cut.Feed(Frame(1, "out").substr(0, 9)).ok());
  EXPECT_FALSE(cut.AtFrameEnd());
}

}  // namespace
}  // namespace mtp
