#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>

#include "agent/docker/filtered_socket.h"
#include "tests/unit/agent/fake_engine_socket.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kOurs[] =
    R"({"Id":"aaaa","Config":{"Tty":false,"Labels":{"com.docker.compose.project":"mtp"}}})";
constexpr char kTheirs[] =
    R"({"Id":"bbbb","Config":{"Labels":{"com.docker.compose.project":"else"}}})";

class FilteredSocketServer : public ::testing::Test {
 protected:
  void ServeWith(testing::FakeEngineSocket::Handler handler) {
    engine_ =
        std::make_unique<testing::FakeEngineSocket>(folder_ / "engine.sock", std::move(handler));
  }
  void SetUp() override {
    options_.engine_socket = folder_ / "engine.sock";
    options_.path = folder_ / "admin.sock";
    options_.project = "mtp";
    options_.owner_uid = geteuid();
    options_.owner_gid = getegid();
  }
  void Start() {
    socket_ = std::make_unique<FilteredSocket>(options_);
    const absl::Status status = socket_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  // The whole answer to these bytes.
  std::string Send(const std::string& bytes) {
    const FileDescriptor fd = testing::ConnectUnix(options_.path);
    EXPECT_TRUE(fd.valid());
    testing::SendAll(fd.get(), bytes);
    return testing::ReadUntil(fd.get());
  }
  std::string Get(const std::string& target) {
    return Send("GET " + target + " HTTP/1.1\r\nHost: docker\r\n\r\n");
  }

  // An engine that has our container and another project's.
  static std::string TwoProjects(const std::string& head, int) {
    if (head.find("/containers/mtp-acme/json") != std::string::npos ||
        head.find("/containers/aaaa/json") != std::string::npos) {
      return testing::HttpAnswer(200, kOurs);
    }
    if (head.find("/containers/other/json") != std::string::npos) {
      return testing::HttpAnswer(200, kTheirs);
    }
    if (head.find("/containers/aaaa/logs") != std::string::npos) {
      return testing::HttpAnswer(200, "log line", "application/vnd.docker.multiplexed-stream");
    }
    return testing::HttpAnswer(404, R"({"message":"no such thing"})");
  }

  testing::ScratchFolder folder_;
  FilteredSocketOptions options_;
  std::unique_ptr<testing::FakeEngineSocket> engine_;
  std::unique_ptr<FilteredSocket> socket_;  // Goes first: its end releases the engine's handlers.
};

TEST_F(FilteredSocketServer, ReadsOneOfItsContainersByTheIdItWasShownToHave) {
  ServeWith(TwoProjects);
  Start();

  EXPECT_THAT(Get("/v1.45/containers/mtp-acme/json"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/containers/mtp-acme/logs?stdout=1"), HasSubstr("log line"));

  EXPECT_THAT(engine_->requests(), ElementsAre("GET /containers/mtp-acme/json HTTP/1.1",
                                               "GET /v1.45/containers/aaaa/json HTTP/1.1",
                                               "GET /containers/mtp-acme/json HTTP/1.1",
                                               "GET /containers/aaaa/logs?stdout=1 HTTP/1.1"));
}

TEST_F(FilteredSocketServer, AnswersForAStrangersContainerAsIfThereWereNone) {
  ServeWith(TwoProjects);
  Start();

  for (const std::string call : {"json", "logs", "stats", "top"}) {
    EXPECT_THAT(Get("/containers/other/" + call), StartsWith("HTTP/1.1 404 ")) << call;
    EXPECT_THAT(Get("/containers/other/" + call), HasSubstr("No such container: other"));
    EXPECT_THAT(Get("/containers/absent/" + call), HasSubstr("No such container: absent"));
  }
}

TEST_F(FilteredSocketServer, NeverTroublesTheEngineWithWhatItRefuses) {
  ServeWith(TwoProjects);
  Start();
  const std::string host = "Host: docker\r\n";
  for (const std::string& request : std::vector<std::string>{
           "POST /containers/mtp-acme/stop HTTP/1.1\r\n" + host + "\r\n",
           "DELETE /containers/mtp-acme HTTP/1.1\r\n" + host + "\r\n",
           "POST /containers/create HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}",
           "POST /containers/mtp-acme/attach HTTP/1.1\r\n" + host +
               "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
           "GET /containers/mtp-acme/json HTTP/1.1\r\n" + host +
               "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
           "GET http://docker/info HTTP/1.1\r\n" + host + "\r\n",
           // A body, and a second request behind the first, hidden in it or not.
           "GET /info HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc",
           "GET /info HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "GET /info HTTP/1.1\r\n" + host +
               "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "GET /info HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n",
           "GET /info HTTP/1.1\r\n" + host + "\r\nPOST /containers/x/kill HTTP/1.1\r\n\r\n",
           "GET /info HTTP/1.0\r\n\r\n", "GET /info HTTP/0.9\r\n\r\n", "GET /info\r\n\r\n",
           "GET  /info HTTP/1.1\r\n" + host + "\r\n", "GET /in fo HTTP/1.1\r\n" + host + "\r\n",
           "GET /info HTTP/1.1\r\n Host: docker\r\n\r\n",
           "GET /info HTTP/1.1\r\nHost : docker\r\n\r\n", "\r\n\r\n\r\n\r\n",
           "\x16\x03\x01\r\n\r\n",
           "GET /info HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n",
           "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n" + host + "\r\n",
           std::string("GET /info\0 HTTP/1.1\r\n\r\n", 23)}) {
    const std::string answer = Send(request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ") || answer.starts_with("HTTP/1.1 400 "))
        << request.substr(0, 60) << " -> " << answer;
    EXPECT_THAT(answer, HasSubstr("{\"message\":\"")) << request.substr(0, 60);
  }
  EXPECT_THAT(engine_->requests(), IsEmpty());
}

TEST_F(FilteredSocketServer, AnswersOneRequestPerConnection) {
  ServeWith(TwoProjects);
  Start();
  const std::string answer = Get("/containers/mtp-acme/json");
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(FilteredSocketServer, HandsPingsHeadersOnSoThatClientsFindTheirVersion) {
  ServeWith([](const std::string&, int) {
    return "HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nOstype: linux\r\nServer: x\r\n"
           "Content-Length: 2\r\n\r\nOK";
  });
  Start();
  const std::string get = Get("/_ping");
  EXPECT_THAT(get, HasSubstr("Api-Version: 1.45"));
  EXPECT_THAT(get, Not(HasSubstr("Server:")));
  const std::string head = Send("HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Api-Version: 1.45"));
}

TEST_F(FilteredSocketServer, SaysSoWhenTheEngineIsDownOrGarbled) {
  Start();
  EXPECT_THAT(Get("/info"), StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(Get("/containers/mtp-acme/logs"), StartsWith("HTTP/1.1 502 "));
  for (const std::string garbage : {"", "no http at all", "HTTP/1.1 200 OK\r\n\r\nnot json"}) {
    ServeWith([garbage](const std::string&, int) { return garbage; });
    EXPECT_THAT(Get("/info"), StartsWith("HTTP/1.1 502 ")) << garbage;
    EXPECT_THAT(Get("/containers/json"), StartsWith("HTTP/1.1 502 ")) << garbage;
    engine_.reset();
    std::filesystem::remove(folder_ / "engine.sock");
  }
}

TEST_F(FilteredSocketServer, StreamsEventsAsTheyComeAndOnlyTheProjects) {
  // The engine sends one stranger's event and one of ours, in pieces, and then stays silent.
  ServeWith([](const std::string&, int connection) -> std::string {
    testing::SendAll(connection, "HTTP/1.1 200 OK\r\n\r\n");
    testing::SendAll(connection,
                     R"({"Type":"container","Action":"die","Actor":{"Attributes":{"name":"x"}}})"
                     "\n");
    testing::SendAll(connection, R"({"Type":"container","Action":"start","Actor":{"ID":"aaaa",)");
    testing::SendAll(connection, R"("Attributes":{"com.docker.compose.project":"mtp"}}})"
                                 "\n");
    // Silent until the filtered socket closes its side.
    testing::ReadUntil(connection);
    return "";
  });
  Start();
  const FileDescriptor client = testing::ConnectUnix(options_.path);
  testing::SendAll(client.get(), "GET /events HTTP/1.1\r\nHost: docker\r\n\r\n");

  const std::string answer = testing::ReadUntil(client.get(), R"("status":"start")");
  EXPECT_THAT(answer, HasSubstr("\"Action\":\"start\""));
  EXPECT_THAT(answer, Not(HasSubstr("die")));
}

TEST_F(FilteredSocketServer, EndsTheEnginesStreamWhenTheClientLeaves) {
  std::atomic<bool> ended{false};
  ServeWith([&](const std::string& head, int connection) -> std::string {
    if (head.find("/json HTTP") != std::string::npos) return testing::HttpAnswer(200, kOurs);
    testing::SendAll(connection, "HTTP/1.1 200 OK\r\n\r\nline");
    // Returns when the filtered socket closes its side.
    testing::ReadUntil(connection);
    ended = true;
    ended.notify_all();
    return "";
  });
  Start();
  FileDescriptor client = testing::ConnectUnix(options_.path);
  testing::SendAll(client.get(),
                   "GET /containers/mtp-acme/logs?follow=1 HTTP/1.1\r\nHost: docker\r\n\r\n");
  testing::ReadUntil(client.get(), "line");

  client.Reset();

  ended.wait(false);
  EXPECT_TRUE(ended);
}

TEST_F(FilteredSocketServer, DropsAReaderThatTakesNothing) {
  options_.write_timeout = absl::Milliseconds(100);
  std::atomic<bool> ended{false};
  ServeWith([&](const std::string& head, int connection) -> std::string {
    if (head.find("/json HTTP") != std::string::npos) return testing::HttpAnswer(200, kOurs);
    testing::SendAll(connection, "HTTP/1.1 200 OK\r\n\r\n");
    const std::string piece(64 << 10, 'x');
    while (testing::SendAll(connection, piece)) {
    }
    ended = true;
    ended.notify_all();
    return "";
  });
  Start();
  const FileDescriptor client = testing::ConnectUnix(options_.path);
  testing::SendAll(client.get(),
                   "GET /containers/mtp-acme/logs?follow=1 HTTP/1.1\r\nHost: docker\r\n\r\n");
  ended.wait(false);
  EXPECT_TRUE(ended);
}

TEST_F(FilteredSocketServer, SlowHeadsDoNotKeepOthersOut) {
  options_.request_timeout = absl::Milliseconds(100);
  options_.max_connections = 2;
  ServeWith(TwoProjects);
  Start();
  std::vector<FileDescriptor> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(testing::ConnectUnix(options_.path));
    testing::SendAll(slow.back().get(), "GET /inf");
  }
  EXPECT_THAT(Get("/containers/mtp-acme/json"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(FilteredSocketServer, SocketHasOwnerAndModeAndGoesWithIt) {
  options_.mode = 0660;
  Start();
  struct stat info {};
  ASSERT_EQ(lstat(options_.path.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  socket_->Stop();
  socket_->Stop();
  EXPECT_FALSE(std::filesystem::exists(options_.path));
}

TEST_F(FilteredSocketServer, ReplacesALeftoverButNothingElse) {
  Start();
  FilteredSocket second(options_);
  EXPECT_TRUE(absl::IsAlreadyExists(second.Start())) << "somebody listens there";
  socket_.reset();

  // A socket file that nobody listens on, as kill -9 leaves it.
  const FileDescriptor dead(socket(AF_UNIX, SOCK_STREAM, 0));
  const sockaddr_un address = testing::UnixAddress(options_.path);
  ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_TRUE(second.Start().ok());
  second.Stop();

  folder_.Write("admin.sock", "a file");
  EXPECT_TRUE(absl::IsAlreadyExists(second.Start()));
  EXPECT_EQ(folder_.Read("admin.sock"), "a file");
}

TEST_F(FilteredSocketServer, RefusesOptionsThatCannotWork) {
  options_.path = std::string(108, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(FilteredSocket(options_).Start()));
  options_.path = folder_ / "admin.sock";
  options_.project = "";
  EXPECT_TRUE(absl::IsInvalidArgument(FilteredSocket(options_).Start()));
}

}  // namespace
}  // namespace mtp
