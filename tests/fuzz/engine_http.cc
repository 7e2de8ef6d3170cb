// The client of the engine's socket: heads, bodies and chunks of any form.
#include "agent/docker/engine_http.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/base/file_descriptor.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

constexpr size_t kMaxBody = 1024;
constexpr size_t kMaxErrorBody = 64 * 1024;

// Listens for as long as the process lives.
class EngineSocket {
 public:
  EngineSocket() : path_(Scratch() + "/engine.sock") {
    listener_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    MTP_HOLDS(path_.size() < sizeof(address.sun_path));
    std::copy(path_.begin(), path_.end(), address.sun_path);
    MTP_HOLDS(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
              0);
    MTP_HOLDS(listen(listener_.get(), 8) == 0);
  }
  const std::string& path() const { return path_; }

  // Takes one request's head and answers with these bytes.
  void AnswerOne(absl::string_view bytes) const {
    const FileDescriptor peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::string head;
    char buffer[4096];
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(peer.get(), buffer, sizeof(buffer), 0);
      if (got <= 0) return;
      head.append(buffer, static_cast<size_t>(got));
    }
    while (!bytes.empty()) {
      const ssize_t sent = send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

 private:
  const std::string path_;
  FileDescriptor listener_;
};

bool IsPromised(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsInternal(status) ||
         absl::IsResourceExhausted(status);
}

void CheckStatus(const EngineRequest& request, const EngineAnswer& answer) {
  const absl::Status status = EngineAnswerStatus(request, answer);
  const bool good =
      (answer.http_status >= 200 && answer.http_status < 300) || answer.http_status == 304;
  MTP_HOLDS(status.ok() == good);
  MTP_HOLDS(status.message().size() < 1000);
  MTP_HOLDS(std::none_of(status.message().begin(), status.message().end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  }));
}

}  // namespace

// The first byte says whether the body is collected or streamed; the rest is the answer.
void EngineHttp(absl::string_view input) {
  static const EngineSocket engine;
  Input bytes(input);
  const bool streamed = bytes.Byte() == 's';
  const absl::string_view said = bytes.Rest();
  EngineRequest request{.call = "inspect mtp-acme",
                        .method = "GET",
                        .target = absl::StrCat("/containers/", PercentEncode("mtp-acme"), "/json")};
  // The engine answers at once and closes: whoever waits for so long hangs.
  request.timeout = absl::Seconds(30);
  request.max_body_bytes = kMaxBody;
  size_t seen = 0;
  if (streamed) {
    request.sink = [&seen](std::string_view piece) {
      seen += piece.size();
      return seen > kMaxBody ? absl::ResourceExhaustedError("enough") : absl::OkStatus();
    };
  }
  std::thread answering([said] { engine.AnswerOne(said); });
  const auto answer = ExchangeWithEngine(engine.path(), request);
  answering.join();
  MTP_HOLDS(seen <= said.size());
  if (!answer.ok()) {
    // Never a timeout: the engine closed.
    MTP_HOLDS(IsPromised(answer.status()));
    return;
  }
  const bool success = answer->http_status >= 200 && answer->http_status < 300;
  MTP_HOLDS(answer->body.size() <= (success ? kMaxBody : kMaxErrorBody));
  MTP_HOLDS(!streamed || !success || answer->body.empty());
  CheckStatus(request, *answer);
}

}  // namespace mtp::fuzz
