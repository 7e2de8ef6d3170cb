// The gateway of a tenant's OpenClaw, which may have been taken over.
#include "agent/openclaw/gateway.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/openclaw/channels.h"
#include "agent/openclaw/gateway_connection.h"
#include "agent/openclaw/gateway_frames.h"
#include "agent/openclaw/probe.h"
#include "common/base/utf8.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

using nlohmann::json;

constexpr char kToken[] = "t0ken-0f-the-gateway";
constexpr uint16_t kPort = 18789;
// The other side answers at once and closes: whoever waits for so long hangs.
constexpr auto kPatience = std::chrono::seconds(30);

bool IsPrintable(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

void CheckFrame(std::string_view text) {
  const auto frame = ParseGatewayFrame(text);
  if (!frame.ok()) {
    MTP_HOLDS(absl::IsInternal(frame.status()));
    return;
  }
  if (frame->kind != GatewayFrame::Kind::kAnswer) {
    MTP_HOLDS(frame->id.empty() && frame->payload_json.empty() && !frame->retry);
    return;
  }
  MTP_HOLDS(IsPrintable(frame->status.message()) && frame->status.message().size() < 2500);
  if (!frame->status.ok()) {
    MTP_HOLDS(!frame->retry || absl::IsUnavailable(frame->status));
    return;
  }
  // The payload as it is comes back.
  const json payload = json::parse(frame->payload_json);
  const json whole = {{"type", "res"}, {"id", frame->id}, {"ok", true}, {"payload", payload}};
  const auto again = ParseGatewayFrame(whole.dump());
  MTP_HOLDS(again.ok() && again->id == frame->id && again->payload_json == frame->payload_json);
}

bool SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// RFC 6455, 1.3.
std::string AcceptKey(absl::string_view head) {
  constexpr absl::string_view kName = "Sec-WebSocket-Key: ";
  const size_t at = head.find(kName);
  if (at == absl::string_view::npos) return "";
  absl::string_view key = head.substr(at + kName.size());
  const std::string text =
      absl::StrCat(key.substr(0, key.find('\r')), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  std::string digest(SHA_DIGEST_LENGTH, '\0');
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()));
  return absl::Base64Escape(digest);
}

// A text frame that is not masked, of at most 65,535 bytes.
std::string TextFrame(absl::string_view text) {
  if (text.size() < 126) {
    return absl::StrCat("\x81", std::string(1, static_cast<char>(text.size())), text);
  }
  const std::string size = {126, static_cast<char>(text.size() >> 8),
                            static_cast<char>(text.size() & 0xff)};
  return absl::StrCat("\x81", size, text);
}

// 'h': the bytes are the answer to the handshake. 'r': after a proper handshake they are what
// comes, frames of any kind. Else each line of them is the text of a proper frame.
std::string Script(char mode, absl::string_view bytes, absl::string_view head) {
  if (mode == 'h') return std::string(bytes);
  std::string script = absl::StrCat(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ",
      AcceptKey(head), "\r\n\r\n");
  if (mode == 'r') return absl::StrCat(script, bytes);
  Input lines(bytes);
  while (!lines.empty()) absl::StrAppend(&script, TextFrame(lines.Line()));
  return script;
}

void Serve(int fd, char mode, absl::string_view bytes) {
  std::string head;
  char buffer[4096];
  while (!absl::StrContains(head, "\r\n\r\n")) {
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    head.append(buffer, static_cast<size_t>(got));
  }
  if (SendAll(fd, Script(mode, bytes, head))) shutdown(fd, SHUT_WR);
  // To the end, so that the other side can always write.
  while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
  }
}

bool IsPromised(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
      return true;
    default:
      return false;
  }
}

}  // namespace

// The text is a frame; and lines: a method, parameters, a token.
void GatewayFrames(absl::string_view input) {
  CheckFrame(Std(input));
  Input lines(input);
  const std::string method = lines.Line();
  const std::string params = lines.Line();
  const auto request = RequestFrame("2", method, params);
  if (request.ok()) {
    const json frame = json::parse(*request);
    MTP_HOLDS(frame["method"] == method && frame["params"].is_object());
    MTP_HOLDS(!absl::StrContains(*request, '\n'));
  } else {
    MTP_HOLDS(absl::IsInvalidArgument(request.status()));
  }
  const std::string token = lines.Line();
  const json connect = json::parse(ConnectFrame("1", SecretString(token)));
  MTP_HOLDS(connect["params"]["auth"]["token"].is_string());
  if (IsPrintable(token) && std::all_of(token.begin(), token.end(), absl::ascii_isascii)) {
    MTP_HOLDS(connect["params"]["auth"]["token"] == token);
  }
}

// The first byte is the mode of Script; the rest is what the gateway sends.
void GatewayConnection(absl::string_view input) {
  Input bytes(input);
  const char mode = static_cast<char>(bytes.Byte());
  const absl::string_view said = bytes.Rest();
  int pair[2];
  MTP_HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  FileDescriptor ours(pair[0]);
  FileDescriptor theirs(pair[1]);
  fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  std::thread gateway([&theirs, mode, said] { Serve(theirs.get(), mode, said); });
  const std::string request = RequestFrame(kGatewayCallId, "status", "{}").value();
  const GatewayOutcome outcome =
      CallOverConnection(std::move(ours), kPort, SecretString(kToken), request,
                         std::chrono::steady_clock::now() + kPatience, std::stop_token());
  gateway.join();
  if (outcome.payload.ok()) {
    MTP_HOLDS(!json::parse(*outcome.payload, nullptr, false).is_discarded());
    MTP_HOLDS(!outcome.retry);
    return;
  }
  // Never a timeout: the gateway closed.
  MTP_HOLDS(IsPromised(outcome.payload.status()));
  MTP_HOLDS(!absl::StrContains(outcome.payload.status().message(), kToken));
  MTP_HOLDS(IsPrintable(outcome.payload.status().message()));
}

// An answer to `channels.status`.
void Channels(absl::string_view input) {
  for (const auto& all : {LostChannels(input), HeldBackChannels(input)}) {
    if (!all.ok()) {
      MTP_HOLDS(absl::IsInternal(all.status()));
      continue;
    }
    for (const LostChannel& lost : *all) {
      MTP_HOLDS(lost.why.size() < 300 && IsPrintable(lost.why) &&
                absl::StartsWith(lost.why, lost.channel));
      MTP_HOLDS(ValidUtf8(lost.why, lost.why.size()) == lost.why);
    }
  }
}

// Lines: the status of /readyz, that of /healthz; then the body of /readyz.
void Probe(absl::string_view input) {
  Input lines(input);
  const auto readyz = static_cast<int>(lines.Number() % 1000);
  const auto healthz = static_cast<int>(lines.Number() % 1000);
  const ProbeResult result = InterpretProbe(readyz, Std(lines.Rest()), healthz);
  MTP_HOLDS(!result.ready || (result.live && readyz == 200));
  MTP_HOLDS(!result.message.empty() && IsPrintable(result.message));
  MTP_HOLDS(result.message.size() < 4096 && result.failing.size() <= 32);
  for (const std::string& part : result.failing) {
    MTP_HOLDS(part.size() <= 100 && IsPrintable(part));
    MTP_HOLDS(std::all_of(part.begin(), part.end(), absl::ascii_isascii));
  }
}

}  // namespace mtp::fuzz
