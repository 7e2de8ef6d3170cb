// The filtered socket with its connections: whatever a client sends, the engine is asked for
// nothing but reading, and a secret of the engine's answers comes out nowhere.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <unistd.h>

#include <utility>

#include "agent/docker/filtered_session.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/passing.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
// clang-format off
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
// clang-format on

namespace mtp::fuzz {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Unix = net::local::stream_protocol;

constexpr char kCanary[] = "c4n4ry";
// The other side answers at once and closes: whoever waits for so long hangs.
constexpr auto kPatience = std::chrono::seconds(30);
constexpr size_t kMaxHead = 64 * 1024;

// A container of the project with secrets where real ones have them. It is also an event, and no
// list.
std::string Answer(absl::string_view target) {
  std::string body = absl::StrCat(
      R"({"Id":")", std::string(64, 'a'), R"(","Name":"/mtp-acme","Args":["c4n4ry"],"Config":{)",
      R"("Env":["TOKEN=c4n4ry"],"Cmd":["c4n4ry"],"Labels":{"com.docker.compose.project":"mtp",)",
      R"("other":"c4n4ry"}},"HostConfig":{"LogConfig":{"Type":"x","Config":{"token":"c4n4ry"}}},)",
      R"("Labels":{"com.docker.compose.project":"mtp"},"HttpProxy":"http://c4n4ry@proxy"})");
  if (absl::StrContains(target, "/containers/json") || absl::StrContains(target, "/networks") ||
      absl::StrContains(target, "/images/json")) {
    body = absl::StrCat("[", body, "]");
  }
  // What these say is passed as it is: logs, statistics and the version have no secrets of ours.
  if (absl::StrContains(target, "/logs") || absl::StrContains(target, "/stats") ||
      absl::StrContains(target, "/version")) {
    body = "{}";
  }
  return absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\n\r\n", body);
}

// A head without a version may go on behind an empty line, for whoever reads it, and is waited for.
bool AsksForAStream(absl::string_view request) {
  const absl::string_view line = request.substr(0, request.find("\r\n"));
  return (absl::EndsWith(line, " HTTP/1.0") || absl::EndsWith(line, " HTTP/1.1")) &&
         (absl::StrContains(line, "/logs") || absl::StrContains(line, "/stats") ||
          absl::StrContains(line, "/events"));
}

// Both ends of the filter in one thread.
class Between {
 public:
  explicit Between(std::string request)
      : request_(std::move(request)), path_(Scratch() + "/filtered.sock"), engine_(context_) {
    unlink(path_.c_str());
    engine_ = Unix::acceptor(context_, Unix::endpoint(path_));
  }

  void Run() {
    FilteredSocketOptions options;
    options.engine_socket = path_;
    options.project = "mtp";
    Unix::socket client(context_);
    Unix::socket served(context_);
    net::local::connect_pair(client, served);
    net::co_spawn(context_, ServeEngine(), net::detached);
    net::co_spawn(context_, Ask(&client), net::detached);
    net::co_spawn(context_, ServeFilteredConnection(std::move(served), options), net::detached);
    context_.run_for(kPatience);
    MTP_HOLDS(answered_);
  }

  const std::vector<std::string>& asked() const { return asked_; }
  const std::string& answer() const { return answer_; }

 private:
  net::awaitable<void> ServeEngine() {
    while (true) {
      error_code error;
      Unix::socket peer(context_);
      co_await engine_.async_accept(peer, net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      std::string head;
      auto buffer = net::dynamic_buffer(head, kMaxHead);
      co_await net::async_read_until(peer, buffer, "\r\n\r\n",
                                     net::redirect_error(net::use_awaitable, error));
      if (error) continue;
      asked_.push_back(head);
      const std::string text = Answer(head.substr(0, head.find('\r')));
      const auto bytes = net::buffer(text);
      co_await net::async_write(peer, bytes, net::redirect_error(net::use_awaitable, error));
    }
  }

  // Sends all, says that there is no more, and reads to the end.
  net::awaitable<void> Ask(Unix::socket* client) {
    error_code error;
    const auto bytes = net::buffer(request_);
    co_await net::async_write(*client, bytes, net::redirect_error(net::use_awaitable, error));
    // Whoever watches a stream and closes, ends it.
    if (!AsksForAStream(request_)) client->shutdown(Unix::socket::shutdown_send, error);
    char piece[4096];
    while (true) {
      error = {};
      const auto into = net::buffer(piece);
      const size_t got =
          co_await client->async_read_some(into, net::redirect_error(net::use_awaitable, error));
      if (error) break;
      answer_.append(piece, got);
    }
    answered_ = true;
    engine_.close();
    client->close();
    context_.stop();
  }

  const std::string request_;
  const std::string path_;
  net::io_context context_{1};
  Unix::acceptor engine_;
  std::vector<std::string> asked_;
  std::string answer_;
  bool answered_ = false;
};

}  // namespace

// The bytes are what a client sends.
void FilteredSocket(absl::string_view input) {
  // A request that ends too early is waited for; one that is never finished is not its subject.
  const std::string request =
      absl::StrContains(input, "\r\n\r\n") ? std::string(input) : absl::StrCat(input, "\r\n\r\n");
  Between between(request);
  between.Run();
  // One call, and before it one that finds out whose the object is.
  MTP_HOLDS(between.asked().size() <= 2);
  for (absl::string_view head : between.asked()) {
    MTP_HOLDS(absl::ConsumePrefix(&head, "GET "));
    const size_t end = head.find(" HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n");
    MTP_HOLDS(end != absl::string_view::npos);
    MTP_HOLDS(MayPass(head.substr(0, end), "mtp"));
    MTP_HOLDS(absl::EndsWith(head, "\r\nConnection: close\r\n\r\n"));
  }
  MTP_HOLDS(absl::StrContains(request, kCanary) || !absl::StrContains(between.answer(), kCanary));
  MTP_HOLDS(between.answer().empty() || absl::StartsWith(between.answer(), "HTTP/1.1 "));
}

}  // namespace mtp::fuzz
