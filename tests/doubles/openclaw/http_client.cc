#include "http_client.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <regex>

namespace openclaw_double {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;

constexpr size_t kMaxAnswerBytes = 8 << 20;

struct Url {
  std::string address;
  std::string port;
  std::string path;
};

bool ParseUrl(const std::string& text, Url& url) {
  static const std::regex kUrl(R"(http://(\[[0-9a-fA-F:]+\]|[0-9.]+|localhost)(?::(\d+))?(/.*)?)");
  std::smatch match;
  if (!std::regex_match(text, match, kUrl)) return false;
  url.address = match[1] == "localhost" ? "127.0.0.1" : match[1].str();
  url.port = match[2].matched ? match[2].str() : "80";
  url.path = match[3];
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  return true;
}

}  // namespace

asio::awaitable<HttpAnswer> PostJson(std::string base_url, std::string target, nlohmann::json body,
                                     std::vector<std::pair<std::string, std::string>> headers,
                                     std::chrono::seconds timeout) {
  HttpAnswer answer;
  Url url;
  if (!ParseUrl(base_url, url)) {
    answer.error = "only plain HTTP to a numeric address is spoken, not " + base_url;
    co_return answer;
  }
  try {
    beast::tcp_stream stream(co_await asio::this_coro::executor);
    stream.expires_after(timeout);
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(url.address),
                                           static_cast<uint16_t>(std::stoi(url.port)));
    co_await stream.async_connect(endpoint, use_awaitable);
    http::request<http::string_body> request{http::verb::post, url.path + target, 11};
    request.set(http::field::host, url.address + ":" + url.port);
    request.set(http::field::content_type, "application/json");
    for (const auto& [name, value] : headers) request.set(name, value);
    request.keep_alive(false);
    request.body() = body.dump();
    request.prepare_payload();
    co_await http::async_write(stream, request, use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    co_await http::async_read(stream, buffer, parser, use_awaitable);
    answer.status = parser.get().result_int();
    answer.body = nlohmann::json::parse(parser.get().body(), nullptr, false);
  } catch (const std::exception& error) {
    answer.error = error.what();
  }
  co_return answer;
}

}  // namespace openclaw_double
