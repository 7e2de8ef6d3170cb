#include "server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include "log.h"
#include "rpc.h"

namespace openclaw_double {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::use_awaitable;
using asio::ip::tcp;
using Json = nlohmann::json;

constexpr size_t kMaxFrameBytes = 4 << 20;

struct Page {
  http::status status;
  Json body;
};

Page Probe(const Gateway& gateway, const std::string& target, bool from_loopback) {
  if (target == "/healthz" || target == "/health") {
    return {http::status::ok, {{"ok", true}, {"status", "live"}}};
  }
  if (target == "/startupz") {
    Json body = {{"ok", true}, {"status", "started"}};
    if (from_loopback) body.update({{"version", kVersion}, {"uptimeMs", gateway.UptimeMs()}});
    return {http::status::ok, body};
  }
  if (target == "/readyz") {
    const std::vector<std::string> failing = gateway.Failing();
    Json body = {{"ready", failing.empty()}};
    if (from_loopback) body.update({{"failing", failing}, {"uptimeMs", gateway.UptimeMs()}});
    return {failing.empty() ? http::status::ok : http::status::service_unavailable, body};
  }
  return {http::status::not_found, {{"error", "not found"}}};
}

bool IsLoopback(const tcp::socket& socket) {
  const auto address = socket.remote_endpoint().address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

asio::awaitable<void> ServeRpc(Gateway& gateway, tcp::socket socket,
                               http::request<http::string_body> request, bool from_loopback) {
  websocket::stream<beast::tcp_stream> stream(std::move(socket));
  stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
  stream.read_message_max(kMaxFrameBytes);
  co_await stream.async_accept(request, use_awaitable);
  RpcSession session(gateway, from_loopback);
  // The lvalue must outlive the write.
  std::string out = session.Challenge().dump();
  co_await stream.async_write(asio::buffer(out), use_awaitable);
  while (!session.closed()) {
    beast::flat_buffer buffer;
    co_await stream.async_read(buffer, use_awaitable);
    const Json frame = Json::parse(beast::buffers_to_string(buffer.data()), nullptr, false);
    out = session.Answer(frame).dump(-1, ' ', false, Json::error_handler_t::replace);
    co_await stream.async_write(asio::buffer(out), use_awaitable);
  }
  co_await stream.async_close(
      websocket::close_reason(websocket::close_code::policy_error, session.close_reason()),
      use_awaitable);
}

asio::awaitable<void> Serve(Gateway& gateway, tcp::socket socket) {
  try {
    const bool from_loopback = IsLoopback(socket);
    beast::flat_buffer buffer;
    while (true) {
      http::request<http::string_body> request;
      co_await http::async_read(socket, buffer, request, use_awaitable);
      if (websocket::is_upgrade(request)) {
        co_await ServeRpc(gateway, std::move(socket), std::move(request), from_loopback);
        co_return;
      }
      if (gateway.faults.hang_probes) {
        // Nothing more comes from a caller that waits, so this ends when it goes away.
        co_await http::async_read(socket, buffer, request, use_awaitable);
        co_return;
      }
      const Page page = Probe(gateway, std::string(request.target()), from_loopback);
      http::response<http::string_body> response{page.status, request.version()};
      response.set(http::field::content_type, "application/json; charset=utf-8");
      response.set(http::field::cache_control, "no-store");
      response.keep_alive(request.keep_alive());
      response.body() = page.body.dump();
      response.prepare_payload();
      co_await http::async_write(socket, response, use_awaitable);
      if (!response.keep_alive()) co_return;
    }
  } catch (const std::exception&) {
    // The caller went away or sent no HTTP; its connection ends with this coroutine.
  }
}

}  // namespace

asio::awaitable<void> RunServer(Gateway& gateway) {
  auto executor = co_await asio::this_coro::executor;
  tcp::acceptor acceptor(executor);
  const auto port = static_cast<uint16_t>(gateway.config.port);
  acceptor.open(tcp::v6());
  acceptor.set_option(asio::ip::v6_only(false));
  acceptor.set_option(tcp::acceptor::reuse_address(true));
  acceptor.bind(tcp::endpoint(tcp::v6(), port));
  acceptor.listen();
  Log("gateway", "http server listening");
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
    asio::co_spawn(executor, Serve(gateway, std::move(socket)), asio::detached);
  }
}

}  // namespace openclaw_double
