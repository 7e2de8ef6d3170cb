#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "agent/docker/engine.h"
#include "agent/docker/network_namespace.h"
#include "tests/unit/agent/fake_engine_socket.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EngineClient : public ::testing::Test {
 protected:
  // Every request gets this answer.
  void Answer(std::string bytes) {
    Serve([bytes = std::move(bytes)](const std::string&, int) { return bytes; });
  }
  void Serve(testing::FakeEngineSocket::Handler handler) {
    server_.reset();
    std::filesystem::remove(folder_ / "engine.sock");
    server_ =
        std::make_unique<testing::FakeEngineSocket>(folder_ / "engine.sock", std::move(handler));
  }

  testing::ScratchFolder folder_;
  std::unique_ptr<testing::FakeEngineSocket> server_;
  std::unique_ptr<Engine> engine_ = NewEngine(folder_ / "engine.sock");
};

TEST_F(EngineClient, IsUnavailableWhenNobodyListensAndWellAgainAfterwards) {
  EXPECT_TRUE(absl::IsUnavailable(engine_->Ping()));
  Answer(testing::HttpAnswer(200, "OK"));
  EXPECT_TRUE(engine_->Ping().ok());
  server_.reset();
  EXPECT_TRUE(absl::IsUnavailable(engine_->Ping()));
}

// As one that hangs, or has only just been started: an action waits for it as for one that is away.
TEST_F(EngineClient, IsUnavailableWhenItsAnswerDoesNotCome) {
  Serve([](const std::string&, int connection) -> std::string {
    testing::ReadUntil(connection);
    return "";
  });
  const auto impatient = NewEngine(folder_ / "engine.sock", absl::Milliseconds(50));
  const absl::Status status = impatient->InspectContainer("mtp-acme").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("did not answer in time"));
}

TEST_F(EngineClient, TellsErrorsApart) {
  const std::pair<int, absl::StatusCode> cases[] = {{400, absl::StatusCode::kInvalidArgument},
                                                    {404, absl::StatusCode::kNotFound},
                                                    {409, absl::StatusCode::kFailedPrecondition},
                                                    {500, absl::StatusCode::kInternal},
                                                    {503, absl::StatusCode::kInternal}};
  for (const auto& [http, code] : cases) {
    Answer(testing::HttpAnswer(http, R"({"message":"its own words"})"));
    const absl::Status status = engine_->InspectContainer("mtp-acme").status();
    EXPECT_EQ(status.code(), code) << http;
    EXPECT_THAT(std::string(status.message()), HasSubstr("inspect mtp-acme: its own words"));
  }
  Answer(testing::HttpAnswer(500, R"({"message":"unable to set memory limit: current usage"})"));
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->UpdateMemoryLimits("mtp-acme", {1, 1})));
  Answer("HTTP/1.1 304 Not Modified\r\n\r\n");
  EXPECT_TRUE(engine_->Start("mtp-acme").ok()) << "it runs already";
}

TEST_F(EngineClient, AsksForOneServiceOnly) {
  Answer(testing::HttpAnswer(200, "[]"));
  ASSERT_TRUE(engine_->ListContainers("mtp", "acme").ok());
  EXPECT_THAT(
      server_->requests(),
      ElementsAre("GET /containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker."
                  "compose.service%3Dacme%22%2C%22com.docker.compose.project%3Dmtp%22%5D%7D "
                  "HTTP/1.1"));
}

TEST_F(EngineClient, RefusesNamesThatWouldChangeThePath) {
  Answer(testing::HttpAnswer(200, "{}"));
  for (const std::string name : {"", "../x", "a/b", "a?b", "a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(engine_->InspectContainer(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(engine_->Kill(name, "SIGKILL"))) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(engine_->Kill("a", "SIG&x=1")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(engine_->Exec("a", {}, absl::Seconds(1), nullptr, {}).status()));
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(EngineClient, AsksARegistryForADigest) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  Answer(testing::HttpAnswer(200, R"({"Descriptor":{"digest":")" + digest + R"("}})"));
  EXPECT_EQ(engine_->RegistryDigest("ghcr.io:443/openclaw/openclaw:main", {}).value_or(""), digest);
  EXPECT_THAT(server_->requests(),
              ElementsAre("GET /distribution/ghcr.io:443/openclaw/openclaw:main/json HTTP/1.1"));
  for (const std::string name :
       {"", "../x", "a/../b", "/a", "a?b", "a#b", "a b", "a%2fb", "a\r\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(engine_->RegistryDigest(name, {}).status())) << name;
  }
  EXPECT_EQ(server_->requests().size(), 1u);
}

TEST_F(EngineClient, TellsWhyARegistryGaveNoDigest) {
  const std::pair<int, absl::StatusCode> cases[] = {{401, absl::StatusCode::kUnauthenticated},
                                                    {403, absl::StatusCode::kPermissionDenied},
                                                    {404, absl::StatusCode::kNotFound},
                                                    {500, absl::StatusCode::kInternal}};
  for (const auto& [http, code] : cases) {
    Answer(testing::HttpAnswer(http, R"({"message":"its own words"})"));
    const absl::Status status = engine_->RegistryDigest("openclaw:main", {}).status();
    EXPECT_EQ(status.code(), code) << http;
    EXPECT_THAT(std::string(status.message()), HasSubstr("openclaw:main: its own words"));
  }
  Answer(testing::HttpAnswer(500, R"({"message":"Head \"x\": no basic auth credentials"})"));
  EXPECT_TRUE(absl::IsUnauthenticated(engine_->RegistryDigest("openclaw:main", {}).status()));
  Answer(testing::HttpAnswer(200, std::string(2 << 20, ' ')));
  EXPECT_TRUE(absl::IsResourceExhausted(engine_->RegistryDigest("a:b", {}).status()));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(engine_->RegistryDigest("a:b", stop.get_token()).status()));
}

TEST_F(EngineClient, SurvivesGarbledAnswers) {
  const std::string endless(20 << 20, 'x');
  for (const std::string& answer : std::vector<std::string>{
           "", "garbage", "HTTP/1.1 200 OK\r\n\r\n", testing::HttpAnswer(200, "null"),
           testing::HttpAnswer(200, "{\"Id\":"), testing::HttpAnswer(200, "\xff\xfe"),
           "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           testing::HttpAnswer(200, endless), testing::HttpAnswer(500, endless)}) {
    Answer(answer);
    const auto details = engine_->InspectContainer("mtp-acme");
    EXPECT_FALSE(details.ok()) << answer.substr(0, 60);
    EXPECT_LT(details.status().message().size(), 1000u);
  }
  Answer(testing::HttpAnswer(200, endless));
  EXPECT_TRUE(absl::IsResourceExhausted(engine_->ListContainers("mtp", "acme").status()));
}

TEST_F(EngineClient, GivesEventsAsTheyComeUntilItIsStopped) {
  std::stop_source stop;
  Serve([](const std::string&, int connection) -> std::string {
    testing::SendAll(connection, "HTTP/1.1 200 OK\r\n\r\n{\"Type\":\"container\",\"Act");
    testing::SendAll(connection, "ion\":\"start\"}\n\n{\"Action\":\"die\"}\n{\"Action\":\"half");
    testing::ReadUntil(connection);  // Silent until the client leaves.
    return "";
  });
  std::vector<std::string> actions;
  bool connected = false;

  const absl::Status status = engine_->Events(
      "mtp", absl::FromUnixNanos(1'500'000'000),
      [&](const EngineEvent& event) {
        actions.push_back(event.action);
        if (actions.size() == 2) stop.request_stop();
        return true;
      },
      stop.get_token(), [&] { connected = true; });

  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(connected);
  EXPECT_THAT(actions, ElementsAre("start", "die"));
  EXPECT_THAT(server_->requests().at(0), HasSubstr("&since=1.500000000"));
}

TEST_F(EngineClient, AStopRequestWakesASilentStream) {
  std::stop_source stop;
  Serve([](const std::string&, int connection) -> std::string {
    testing::SendAll(connection, "HTTP/1.1 200 OK\r\n\r\n");
    testing::ReadUntil(connection);
    return "";
  });
  std::jthread stopper;
  const absl::Time begin = absl::Now();
  const absl::Status status = engine_->Events(
      "mtp", std::nullopt, [](const EngineEvent&) { return true; }, stop.get_token(),
      [&] { stopper = std::jthread([&] { stop.request_stop(); }); });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(EngineClient, EventsEndUnavailableWhenTheEngineGoesAway) {
  Answer("HTTP/1.1 200 OK\r\n\r\n{\"Action\":\"start\"}\n");
  EXPECT_TRUE(absl::IsUnavailable(engine_->Events(
      "mtp", std::nullopt, [](const EngineEvent&) { return true; }, {}, nullptr)));
  Answer("HTTP/1.1 200 OK\r\n\r\n" + std::string(2 << 20, 'x'));
  EXPECT_TRUE(absl::IsInternal(engine_->Events(
      "mtp", std::nullopt, [](const EngineEvent&) { return true; }, {}, nullptr)));
}

TEST_F(EngineClient, ReadsBothStreamsOfALog) {
  const std::string framed(
      "\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x05"
      "error",
      24);
  Serve([framed](const std::string& head, int) {
    return head.find("/json HTTP") != std::string::npos
               ? testing::HttpAnswer(200, R"({"Id":"0123","Config":{"Tty":false}})")
               : "HTTP/1.1 200 OK\r\n\r\n" + framed;
  });
  std::string out;
  std::string error;
  const auto sink = [&](OutputStream stream, std::string_view bytes) {
    (stream == OutputStream::kStdout ? out : error).append(bytes);
    return true;
  };
  const absl::Status status = engine_->Logs("mtp-acme", {.tail = 10, .timestamps = true}, sink, {});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(out, "out");
  EXPECT_EQ(error, "error");
  EXPECT_EQ(server_->requests().at(1),
            "GET /containers/0123/logs?stdout=1&stderr=1&timestamps=1&tail=10 HTTP/1.1");
}

TEST_F(EngineClient, ReadsATerminalsLogAsOneStream) {
  Serve([](const std::string& head, int) {
    return head.find("/json HTTP") != std::string::npos
               ? testing::HttpAnswer(200, R"({"Id":"0123","Config":{"Tty":true}})")
               : "HTTP/1.1 200 OK\r\n\r\nplain";
  });
  std::string out;
  const auto sink = [&](OutputStream, std::string_view bytes) {
    out.append(bytes);
    return true;
  };
  EXPECT_TRUE(engine_->Logs("mtp-acme", {}, sink, {}).ok());
  EXPECT_EQ(out, "plain");
}

TEST(NetworkNamespace, RefusesAProcessThatIsNotTheContainers) {
  const std::string id(64, 'a');
  EXPECT_TRUE(absl::IsNotFound(TcpSocketInContainer({id, getpid()}).status()))
      << "alive, but of no such container";
  EXPECT_TRUE(absl::IsNotFound(TcpSocketInContainer({id, 0}).status()));
  EXPECT_TRUE(absl::IsNotFound(TcpSocketInContainer({id, 2'000'000'000}).status()));
  EXPECT_TRUE(absl::IsNotFound(TcpSocketInContainer({"", getpid()}).status()));
  EXPECT_TRUE(absl::IsNotFound(ConnectInContainer({"/", getpid()}, 80, absl::Seconds(1)).status()));
}

}  // namespace
}  // namespace mtp
