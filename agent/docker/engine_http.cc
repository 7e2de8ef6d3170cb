#include "agent/docker/engine_http.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "agent/docker/engine_answers.h"

namespace mtp {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxErrorBody = 64 * 1024;
// Longest sleep between two looks at the deadline; a stop request wakes at once.
constexpr int kMaxPollMs = 1000;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct HeadersDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// What the callbacks know.
struct Exchange {
  const EngineRequest& request;
  CURL* easy;
  EngineAnswer answer;
  absl::Status sink_status;  // Why a callback ended the exchange.
  bool head_seen = false;
};

int HttpStatus(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

bool IsSuccess(int http_status) { return http_status >= 200 && http_status < 300; }

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  const bool end_of_head = line == "\r\n" || line == "\n";
  if (end_of_head && !exchange->head_seen && IsSuccess(HttpStatus(exchange->easy))) {
    exchange->head_seen = true;
    if (exchange->request.on_head) exchange->request.on_head();
  }
  return size * count;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const std::string_view bytes(data, size * count);
  const bool success = IsSuccess(HttpStatus(exchange->easy));
  if (success && exchange->request.sink) {
    exchange->sink_status = exchange->request.sink(bytes);
    return exchange->sink_status.ok() ? bytes.size() : 0;
  }
  std::string& body = exchange->answer.body;
  const size_t limit = success ? exchange->request.max_body_bytes : kMaxErrorBody;
  if (body.size() + bytes.size() > limit) {
    if (!success) return bytes.size();  // The beginning of an error tells enough.
    exchange->sink_status = absl::ResourceExhaustedError(
        absl::StrCat("the engine's answer is larger than ", limit, " bytes"));
    return 0;
  }
  body.append(bytes);
  return bytes.size();
}

absl::Status CurlStatus(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return absl::OkStatus();
    case CURLE_COULDNT_CONNECT:
      return absl::UnavailableError("the Docker Engine does not answer at its socket");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return absl::UnavailableError("the Docker Engine closed the connection");
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError("the Docker Engine did not answer in time");
    case CURLE_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError("out of memory");
    default:
      return absl::InternalError(
          absl::StrCat("the Docker Engine's answer cannot be read: ", curl_easy_strerror(code)));
  }
}

// Runs the transfer to its end; the answer's status code is the caller's to judge.
absl::Status Run(CURLM* multi, CURL* easy, const EngineRequest& request) {
  const bool endless = request.timeout == absl::InfiniteDuration();
  const auto deadline = SteadyClock::now() + (endless ? std::chrono::nanoseconds(0)
                                                      : absl::ToChronoNanoseconds(request.timeout));
  while (true) {
    if (request.stop.stop_requested()) return absl::CancelledError("stopped on request");
    int running = 0;
    if (CURLMcode code = curl_multi_perform(multi, &running); code != CURLM_OK) {
      return absl::InternalError(curl_multi_strerror(code));
    }
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE && message->easy_handle == easy) {
        return CurlStatus(message->data.result);
      }
    }
    int wait_ms = kMaxPollMs;
    if (!endless) {
      const auto remaining =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now());
      if (remaining.count() <= 0) {
        return absl::DeadlineExceededError("the Docker Engine did not answer in time");
      }
      wait_ms = static_cast<int>(std::min<int64_t>(kMaxPollMs, remaining.count() + 1));
    }
    if (CURLMcode code = curl_multi_poll(multi, nullptr, 0, wait_ms, nullptr); code != CURLM_OK) {
      return absl::InternalError(curl_multi_strerror(code));
    }
  }
}

}  // namespace

absl::StatusOr<EngineAnswer> ExchangeWithEngine(const std::string& socket_path,
                                                const EngineRequest& request) {
  std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  // An empty `Expect:` keeps curl from waiting for a 100 Continue.
  std::unique_ptr<curl_slist, HeadersDeleter> headers(curl_slist_append(nullptr, "Expect:"));
  if (multi == nullptr || easy == nullptr || headers == nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  if (curl_slist* longer = curl_slist_append(headers.get(), "Content-Type: application/json")) {
    (void)headers.release();
    headers.reset(longer);
  }
  Exchange exchange{request, easy.get(), {}, absl::OkStatus()};
  CURL* handle = easy.get();
  curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, socket_path.c_str());
  curl_easy_setopt(handle, CURLOPT_URL, absl::StrCat("http://docker", request.target).c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  if (request.method == "POST") {
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.c_str());
  } else {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);

  if (CURLMcode code = curl_multi_add_handle(multi.get(), handle); code != CURLM_OK) {
    return absl::InternalError(curl_multi_strerror(code));
  }
  absl::Status status;
  {
    std::stop_callback wake(request.stop, [&multi] { curl_multi_wakeup(multi.get()); });
    status = Run(multi.get(), handle, request);
  }
  exchange.answer.http_status = HttpStatus(handle);
  curl_multi_remove_handle(multi.get(), handle);
  if (!exchange.sink_status.ok()) status = exchange.sink_status;
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(request.call, ": ", status.message()));
  }
  return std::move(exchange.answer);
}

absl::Status EngineAnswerStatus(const EngineRequest& request, const EngineAnswer& answer) {
  const int http_status = answer.http_status;
  if (IsSuccess(http_status) || http_status == 304) return absl::OkStatus();
  const std::string reason = ParseErrorMessage(answer.body);
  const std::string sentence = absl::StrCat(request.call, ": ", reason);
  // A refused memory limit comes as 500 from runc; it is the container's state that forbids it.
  if (absl::StrContains(reason, "unable to set memory limit")) {
    return absl::FailedPreconditionError(sentence);
  }
  // So does a registry that wants a login (Docker 26).
  if (absl::StrContains(reason, "no basic auth credentials")) {
    return absl::UnauthenticatedError(sentence);
  }
  switch (http_status) {
    case 400:
      return absl::InvalidArgumentError(sentence);
    case 401:
      return absl::UnauthenticatedError(sentence);
    case 403:
      return absl::PermissionDeniedError(sentence);
    case 404:
      return absl::NotFoundError(sentence);
    case 409:
      return absl::FailedPreconditionError(sentence);
    default:
      return absl::InternalError(absl::StrCat(sentence, " (HTTP ", http_status, ")"));
  }
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~') {
      result.push_back(c);
    } else {
      result.push_back('%');
      result.push_back(kDigits[byte >> 4]);
      result.push_back(kDigits[byte & 15]);
    }
  }
  return result;
}

}  // namespace mtp
