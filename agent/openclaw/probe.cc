#include "agent/openclaw/probe.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "agent/docker/json_fields.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxBody = 64 * 1024;
constexpr size_t kMaxFailingName = 100;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

struct Request {
  const ContainerProcess& process;
  absl::Status socket_status;
  std::string body;
};

// curl connects the socket itself: handing it a connected one fails with EISCONN in curl 7.88.
curl_socket_t OpenSocket(void* user, curlsocktype, curl_sockaddr*) {
  auto* request = static_cast<Request*>(user);
  absl::StatusOr<FileDescriptor> socket = TcpSocketInContainer(request->process);
  if (!socket.ok()) {
    request->socket_status = socket.status();
    return CURL_SOCKET_BAD;
  }
  return socket->Release();
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* request = static_cast<Request*>(user);
  if (request->body.size() + size * count > kMaxBody) return 0;
  request->body.append(data, size * count);
  return size * count;
}

// The HTTP status; 0 when there is no answer. A status only for what no later try can change.
absl::StatusOr<int> Get(const ContainerProcess& process, uint16_t port, const char* path,
                        absl::Duration timeout, std::string* body) {
  const std::unique_ptr<CURL, EasyDeleter> easy(curl_easy_init());
  if (easy == nullptr) return absl::ResourceExhaustedError("out of memory");
  Request request{process, absl::OkStatus(), {}};
  CURL* handle = easy.get();
  curl_easy_setopt(handle, CURLOPT_URL, absl::StrCat("http://127.0.0.1:", port, path).c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                   std::max<long>(1, static_cast<long>(absl::ToInt64Milliseconds(timeout))));
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, OpenSocket);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &request);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &request);
  const CURLcode code = curl_easy_perform(handle);
  if (!request.socket_status.ok()) return request.socket_status;
  if (code != CURLE_OK) return 0;
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  *body = std::move(request.body);
  return static_cast<int>(status);
}

// One line of harmless characters: the container's words end in status tables.
std::string Printable(std::string text) {
  if (text.size() > kMaxFailingName) text.resize(kMaxFailingName);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

ProbeResult InterpretProbe(int readyz_status, std::string_view readyz_body, int healthz_status) {
  using json_fields::Field;
  const json_fields::Json json = json_fields::Parse(readyz_body);
  ProbeResult result;
  // What answers ready is alive too; whether it is alive is asked only when it is not ready.
  result.ready = readyz_status == 200 && json_fields::Bool(json, "ready");
  result.live = result.ready || healthz_status == 200;
  const json_fields::Json& failing = Field(json, "failing");
  if (failing.is_array()) {
    for (const json_fields::Json& name : failing) {
      if (result.failing.size() == kMaxFailing) break;
      if (name.is_string()) result.failing.push_back(Printable(name.get<std::string>()));
    }
  }
  if (Field(json, "uptimeMs").is_number_integer()) {
    result.uptime = absl::Milliseconds(json_fields::Int(json, "uptimeMs"));
  }
  if (result.ready) {
    result.message = "ready";
  } else if (!result.failing.empty()) {
    result.message = absl::StrCat("not ready: ", absl::StrJoin(result.failing, ", "));
  } else if (result.live) {
    result.message = "not ready: the gateway lives and does not say what fails";
  } else if (readyz_status == 0 && healthz_status == 0) {
    result.message = "the gateway does not answer";
  } else {
    result.message = absl::StrCat("not ready: /readyz answers HTTP ", readyz_status,
                                  ", /healthz HTTP ", healthz_status);
  }
  return result;
}

absl::StatusOr<ProbeResult> ProbeGateway(const ContainerProcess& process, uint16_t port,
                                         absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::string body;
  MTP_ASSIGN_OR_RETURN(const int readyz, Get(process, port, "/readyz", timeout, &body));
  if (readyz == 200) return InterpretProbe(readyz, body, 200);
  std::string unused;
  int healthz = 0;
  const absl::Duration left = deadline - absl::Now();
  if (left > absl::ZeroDuration()) {
    MTP_ASSIGN_OR_RETURN(healthz, Get(process, port, "/healthz", left, &unused));
  }
  return InterpretProbe(readyz, body, healthz);
}

}  // namespace mtp
