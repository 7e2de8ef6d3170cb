#include "agent/openclaw/gateway_connection.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <utility>

#include "agent/openclaw/gateway.h"
#include "agent/openclaw/gateway_frames.h"

namespace mtp {
namespace {

namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using Outcome = GatewayOutcome;

constexpr std::string_view kNoId;
constexpr std::string_view kConnectId = "1";
// A payload and the frame around it.
constexpr size_t kMaxFrameBytes = kMaxGatewayPayloadBytes + 64 * 1024;

// One connection: handshake, connect, call.
class Connection {
 public:
  Connection(FileDescriptor socket, uint16_t port, const SecretString& token,
             const std::string& request)
      : stream_(context_), port_(port), token_(token), request_(request) {
    stream_.next_layer().assign(net::ip::tcp::v4(), socket.Release());
  }

  Outcome Run(std::chrono::steady_clock::time_point deadline, const std::stop_token& stop) {
    net::co_spawn(context_, Converse(), net::detached);
    {
      std::stop_callback on_stop(stop, [this] { context_.stop(); });
      context_.run_until(deadline);
    }
    if (!ended_ && stop.stop_requested()) {
      outcome_.payload = absl::CancelledError("stopped on request");
    }
    return std::move(outcome_);
  }

 private:
  net::awaitable<void> Converse() {
    outcome_ = co_await Call();
    ended_ = true;
    // The gateway closes as well when the connection ends; a polite close frame would only wait.
    error_code ignored;
    stream_.next_layer().close(ignored);
    context_.stop();
  }

  net::awaitable<Outcome> Call() {
    error_code error;
    stream_.read_message_max(kMaxFrameBytes);
    // Arguments of co_await are named values: gcc 12 may destroy a temporary in such an expression
    // twice.
    const std::string host = absl::StrCat("127.0.0.1:", port_);
    co_await stream_.async_handshake(host, "/", net::redirect_error(net::use_awaitable, error));
    if (error) {
      co_return Outcome{absl::UnavailableError(absl::StrCat(
                            "the gateway does not take the connection: ", error.message())),
                        /*retry=*/true};
    }
    Outcome hello = co_await Answer(GatewayFrame::Kind::kChallenge, kNoId);
    if (!hello.payload.ok()) co_return hello;
    std::string connect = ConnectFrame(kConnectId, token_);
    error = co_await Send(connect);
    WipeString(&connect);
    if (error) co_return Broken(error, /*retry=*/true);
    hello = co_await Answer(GatewayFrame::Kind::kAnswer, kConnectId);
    if (!hello.payload.ok()) co_return hello;
    error = co_await Send(request_);
    if (error) co_return Broken(error, /*retry=*/false);
    Outcome answer = co_await Answer(GatewayFrame::Kind::kAnswer, kGatewayCallId);
    co_return answer;
  }

  net::awaitable<error_code> Send(const std::string& text) {
    error_code error;
    stream_.text(true);
    co_await stream_.async_write(net::buffer(text), net::redirect_error(net::use_awaitable, error));
    co_return error;
  }

  // Reads frames until the one that is waited for.
  net::awaitable<Outcome> Answer(GatewayFrame::Kind kind, std::string_view id) {
    const bool before_call = id != kGatewayCallId;
    while (true) {
      error_code error;
      boost::beast::flat_buffer buffer;
      co_await stream_.async_read(buffer, net::redirect_error(net::use_awaitable, error));
      if (error) co_return Broken(error, before_call);
      const auto bytes = buffer.cdata();
      absl::StatusOr<GatewayFrame> frame =
          ParseGatewayFrame(std::string_view(static_cast<const char*>(bytes.data()), bytes.size()));
      if (!frame.ok()) co_return Outcome{frame.status(), false};
      if (frame->kind != kind || frame->id != id) continue;
      if (!frame->status.ok()) co_return Outcome{WithoutToken(frame->status), frame->retry};
      if (frame->payload_json.size() > kMaxGatewayPayloadBytes) co_return TooLarge();
      co_return Outcome{std::move(frame->payload_json), false};
    }
  }

  // A gateway may repeat what it was sent.
  absl::Status WithoutToken(const absl::Status& status) const {
    const absl::string_view token = token_.Reveal();
    return absl::Status(status.code(),
                        absl::StrReplaceAll(status.message(), {{token, "[redacted]"}}));
  }

  static Outcome TooLarge() {
    return Outcome{absl::ResourceExhaustedError("the gateway's answer is over 4 MiB"), false};
  }

  Outcome Broken(const error_code& error, bool retry) {
    if (error == websocket::error::message_too_big) return TooLarge();
    std::string sentence = "the gateway closed the connection";
    const websocket::close_reason& reason = stream_.reason();
    if (reason.code != websocket::close_code::none) {
      absl::StrAppend(&sentence, " with code ", static_cast<int>(reason.code));
    }
    if (!retry) absl::StrAppend(&sentence, "; whether the method ran is not known");
    return Outcome{absl::UnavailableError(sentence), retry};
  }

  net::io_context context_{1};
  websocket::stream<net::ip::tcp::socket> stream_;
  const uint16_t port_;
  const SecretString& token_;
  const std::string& request_;
  Outcome outcome_;
  bool ended_ = false;
};

}  // namespace

GatewayOutcome CallOverConnection(FileDescriptor socket, uint16_t port, const SecretString& token,
                                  const std::string& request,
                                  std::chrono::steady_clock::time_point deadline,
                                  const std::stop_token& stop) {
  return Connection(std::move(socket), port, token, request).Run(deadline, stop);
}

}  // namespace mtp
