#include "agent/docker/filtered_session.h"

#include <absl/strings/str_cat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <limits>
#include <memory>

#include "agent/docker/engine_answers.h"
#include "agent/docker/json_fields.h"
#include "agent/docker/read_only_routes.h"
#include "agent/docker/read_only_view.h"

namespace mtp {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Unix = net::local::stream_protocol;
using Stream = beast::basic_stream<Unix>;
using Response = http::response<http::string_body>;

// Arguments of co_await are named values throughout: gcc 12 may destroy a temporary in such an
// expression twice.

constexpr size_t kMaxHead = 8 * 1024;
constexpr size_t kMaxAnswer = 16 << 20;
constexpr size_t kMaxEventLine = 1 << 20;
constexpr size_t kPiece = 32 * 1024;

std::chrono::nanoseconds Chrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

Response JsonResponse(http::status status, std::string body) {
  Response response(status, 11);
  response.set(http::field::content_type, "application/json");
  response.body() = std::move(body);
  return response;
}

// An error in the engine's own form.
Response ErrorResponse(http::status status, const std::string& message) {
  const json_fields::Json body = {{"message", message}};
  return JsonResponse(
      status, body.dump(-1, ' ', false, json_fields::Json::error_handler_t::replace) + "\n");
}

Response Failure(const absl::Status& status) {
  return ErrorResponse(http::status::bad_gateway, std::string(status.message()));
}

bool IsStream(ReadOnlyCall call) {
  return call == ReadOnlyCall::kContainerLogs || call == ReadOnlyCall::kContainerStats ||
         call == ReadOnlyCall::kEvents;
}

// Why the head of a request can be no reading one; empty when it can. Bodies, upgrades and all that
// may come behind the head are how one request is hidden in another.
std::string HeadObjection(const http::request<http::empty_body>& head, bool more_bytes) {
  if (head.version() != 11) return "only HTTP/1.1 passes";
  if (head.find(http::field::transfer_encoding) != head.end()) return "a request has no body";
  const auto length = head.find(http::field::content_length);
  if (length != head.end() && length->value() != "0") return "a request has no body";
  if (head.find(http::field::upgrade) != head.end()) return "no connection is upgraded";
  if (head.find(http::field::expect) != head.end()) return "a request has no body";
  if (more_bytes) return "one request comes at a time";
  return "";
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Unix::socket client, const FilteredSocketOptions& options)
      : options_(options), engine_(client.get_executor()), client_(std::move(client)) {}

  net::awaitable<void> Serve() {
    error_code error;
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMaxHead);
    beast::flat_buffer buffer(kMaxHead + 1);
    client_.expires_after(Chrono(options_.request_timeout));
    co_await http::async_read_header(client_, buffer, parser,
                                     net::redirect_error(net::use_awaitable, error));
    if (error == http::error::end_of_stream || error == beast::error::timeout) co_return;
    if (error) {
      co_await SendError(http::status::bad_request, "the request is malformed");
      co_return;
    }
    const absl::StatusOr<ReadOnlyRequest> request =
        ParseReadOnlyRequest(std::string(parser.get().method_string()),
                             std::string(parser.get().target()), options_.project);
    if (!request.ok()) {
      const std::string refusal(request.status().message());
      co_await SendError(http::status::forbidden, refusal);
      co_return;
    }
    const std::string objection = HeadObjection(parser.get(), buffer.size() > 0);
    if (!objection.empty()) {
      co_await SendError(http::status::forbidden, objection);
      co_return;
    }
    co_await Answer(*request);
  }

 private:
  net::awaitable<void> Answer(const ReadOnlyRequest& request) {
    std::string object = request.object;
    if (request.NamesProjectObject()) {
      object = co_await FindProjectObject(request);
      if (object.empty()) co_return;
    }
    const std::string target = request.EngineTarget(object);
    if (request.call == ReadOnlyCall::kPing) {
      co_await Ping(target, request.head_only);
      co_return;
    }
    if (IsStream(request.call)) {
      co_await Pass(request.call, target);
      co_return;
    }
    const absl::StatusOr<Response> answer = co_await Ask(target);
    Response response = answer.ok() ? ViewOf(request.call, *answer) : Failure(answer.status());
    co_await Send(response);
  }

  // The full id of what the request names, when it is the project's; otherwise it is answered as
  // absent, so that nothing can be learned about strangers. The call itself then goes by the id: a
  // name may change hands meanwhile.
  net::awaitable<std::string> FindProjectObject(const ReadOnlyRequest& request) {
    const bool network = request.call == ReadOnlyCall::kInspectNetwork;
    std::string target = absl::StrCat("/containers/", request.object, "/json");
    if (network) target = absl::StrCat("/networks/", request.object);
    const absl::StatusOr<Response> answer = co_await Ask(target);
    if (!answer.ok()) {
      Response failure = Failure(answer.status());
      co_await Send(failure);
      co_return "";
    }
    std::string id;
    if (answer->result() == http::status::ok) {
      id = ProjectObjectId(answer->body(), options_.project);
    }
    if (!IsContainerReference(id)) {
      const std::string absent =
          absl::StrCat(network ? "No such network: " : "No such container: ", request.object);
      co_await SendError(http::status::not_found, absent);
      co_return "";
    }
    co_return id;
  }

  net::awaitable<void> Ping(const std::string& target, bool head_only) {
    const absl::StatusOr<Response> answer = co_await Ask(target);
    Response response;
    if (!answer.ok()) {
      response = Failure(answer.status());
    } else {
      response = Response(answer->result(), 11);
      response.set(http::field::content_type, "text/plain; charset=utf-8");
      // What clients choose their version by.
      for (const char* name : {"Api-Version", "Ostype", "Docker-Experimental", "Builder-Version"}) {
        const auto found = answer->find(name);
        if (found != answer->end()) response.set(name, found->value());
      }
      if (!head_only) response.body() = "OK";
    }
    co_await Send(response);
  }

  net::awaitable<error_code> SendToEngine(const std::string& target) {
    error_code error;
    engine_.expires_after(Chrono(options_.request_timeout));
    const Unix::endpoint endpoint(options_.engine_socket);
    co_await engine_.async_connect(endpoint, net::redirect_error(net::use_awaitable, error));
    if (error) co_return error;
    // Written anew: nothing of the caller's own bytes but what was parsed.
    const std::string head =
        absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n");
    const net::const_buffer bytes(head.data(), head.size());
    co_await net::async_write(engine_, bytes, net::redirect_error(net::use_awaitable, error));
    co_return error;
  }

  // A whole answer of bounded size.
  net::awaitable<absl::StatusOr<Response>> Ask(const std::string& target) {
    engine_.close();
    error_code error = co_await SendToEngine(target);
    if (error) co_return absl::UnavailableError("the Docker Engine does not answer");
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswer);
    beast::flat_buffer buffer(64 * 1024);
    co_await http::async_read(engine_, buffer, parser,
                              net::redirect_error(net::use_awaitable, error));
    if (error) co_return absl::UnavailableError("the Docker Engine's answer cannot be read");
    co_return parser.release();
  }

  // Passes an answer that may go on for ever. Ends when either side does.
  net::awaitable<void> Pass(ReadOnlyCall call, const std::string& target) {
    engine_.close();
    error_code error = co_await SendToEngine(target);
    http::response_parser<http::buffer_body> parser;
    // Not boost::none: Boost 1.74 takes it for less than any Content-Length.
    parser.body_limit(std::numeric_limits<uint64_t>::max());
    beast::flat_buffer buffer(kMaxHead + kPiece);
    if (!error) {
      co_await http::async_read_header(engine_, buffer, parser,
                                       net::redirect_error(net::use_awaitable, error));
    }
    if (error) {
      co_await SendError(http::status::bad_gateway, "the Docker Engine does not answer");
      co_return;
    }
    if (parser.get().result() != http::status::ok) {
      co_await SendError(parser.get().result(), "the Docker Engine refuses this");
      co_return;
    }
    net::co_spawn(client_.get_executor(), EndWithClient(shared_from_this()), net::detached);
    http::response<http::empty_body> head(http::status::ok, 11);
    const auto type = parser.get().find(http::field::content_type);
    if (type != parser.get().end()) head.set(http::field::content_type, type->value());
    head.set(http::field::connection, "close");
    head.chunked(true);
    http::response_serializer<http::empty_body> serializer(head);
    client_.expires_after(Chrono(options_.write_timeout));
    co_await http::async_write_header(client_, serializer,
                                      net::redirect_error(net::use_awaitable, error));
    if (!error) co_await PassBody(call, &parser, &buffer);
    Close();
  }

  net::awaitable<void> PassBody(ReadOnlyCall call, http::response_parser<http::buffer_body>* parser,
                                beast::flat_buffer* buffer) {
    std::string piece(kPiece, '\0');
    while (!parser->is_done()) {
      parser->get().body().data = piece.data();
      parser->get().body().size = piece.size();
      engine_.expires_after(Chrono(options_.stream_idle_timeout));
      error_code error;
      // Some bytes are enough: a line of a log must not wait until the piece is full.
      co_await http::async_read_some(engine_, *buffer, *parser,
                                     net::redirect_error(net::use_awaitable, error));
      if (error == http::error::need_buffer) error = {};
      if (error) co_return;
      const std::string_view bytes =
          std::string_view(piece).substr(0, piece.size() - parser->get().body().size);
      std::string events;
      if (call == ReadOnlyCall::kEvents && !TakeEvents(bytes, &events)) co_return;
      const std::string_view out = call == ReadOnlyCall::kEvents ? events : bytes;
      if (out.empty()) continue;
      const bool sent = co_await SendChunk(out);
      if (!sent) co_return;
    }
    error_code ignored;
    client_.expires_after(Chrono(options_.write_timeout));
    const auto last = http::make_chunk_last();
    co_await net::async_write(client_, last, net::redirect_error(net::use_awaitable, ignored));
  }

  // The project's events among the whole lines so far; false when a line is too long.
  bool TakeEvents(std::string_view bytes, std::string* events) {
    line_.append(bytes);
    size_t end = 0;
    while ((end = line_.find('\n')) != std::string::npos) {
      const std::string event =
          ReadOnlyEvent(std::string_view(line_).substr(0, end), options_.project);
      if (!event.empty()) absl::StrAppend(events, event, "\n");
      line_.erase(0, end + 1);
    }
    return line_.size() <= kMaxEventLine;
  }

  net::awaitable<bool> SendChunk(std::string_view bytes) {
    error_code error;
    client_.expires_after(Chrono(options_.write_timeout));
    const auto chunk = http::make_chunk(net::const_buffer(bytes.data(), bytes.size()));
    co_await net::async_write(client_, chunk, net::redirect_error(net::use_awaitable, error));
    co_return !error;
  }

  // While an answer streams the client has nothing to say: whatever comes, its end above all, ends
  // the stream, even when the engine is silent.
  // By value: a coroutine's parameters live as long as it does.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  static net::awaitable<void> EndWithClient(std::shared_ptr<Session> self) {
    char byte = 0;
    error_code ignored;
    self->client_.expires_never();
    const net::mutable_buffer buffer(&byte, 1);
    co_await self->client_.async_read_some(buffer,
                                           net::redirect_error(net::use_awaitable, ignored));
    self->Close();
  }

  Response ViewOf(ReadOnlyCall call, const Response& answer) const {
    if (answer.result() != http::status::ok) {
      return ErrorResponse(answer.result(), ParseErrorMessage(answer.body()));
    }
    absl::StatusOr<std::string> view = ReadOnlyView(call, answer.body(), options_.project);
    if (!view.ok()) return Failure(view.status());
    return JsonResponse(http::status::ok, std::move(*view));
  }

  net::awaitable<void> SendError(http::status status, std::string_view message) {
    Response response = ErrorResponse(status, std::string(message));
    co_await Send(response);
  }

  // Sends a whole answer; the connection is over then.
  net::awaitable<void> Send(Response& response) {
    response.set(http::field::connection, "close");
    response.keep_alive(false);
    response.prepare_payload();
    error_code ignored;
    client_.expires_after(Chrono(options_.write_timeout));
    co_await http::async_write(client_, response, net::redirect_error(net::use_awaitable, ignored));
    client_.socket().shutdown(Unix::socket::shutdown_send, ignored);
  }

  void Close() {
    engine_.close();
    client_.close();
  }

  const FilteredSocketOptions& options_;
  Stream engine_;
  Stream client_;
  std::string line_;
};

}  // namespace

net::awaitable<void> ServeFilteredConnection(Unix::socket client,
                                             const FilteredSocketOptions& options) {
  // Kept alive by whatever of it still runs.
  const auto session = std::make_shared<Session>(std::move(client), options);
  co_await session->Serve();
}

}  // namespace mtp
