#include "cli/commands/call.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "cli/output/failure.h"
#include "common/base/ulid.h"

namespace mtp::cli {
namespace {

// Words that gRPC itself uses for connections that fail or break; the controller's own sentences
// hold none of them.
bool IsConnectionFailure(absl::string_view message) {
  for (absl::string_view words :
       {"failed to connect", "connections to all", "Socket closed", "Connection reset", "GOAWAY",
        "Broken pipe", "keepalive", "Stream removed", "recvmsg", "DNS resolution",
        "Connection refused", "handshake", "Endpoint"}) {
    if (absl::StrContains(message, words)) return true;
  }
  return message.empty();
}

}  // namespace

std::string NewRequestId(Invocation& invocation) {
  return absl::StrCat("cli-", NewUlid(invocation.environment.clock, invocation.environment.random));
}

absl::Status CallStatus(const Invocation& invocation, const grpc::Status& status,
                        absl::Duration timeout) {
  const std::string where = absl::StrCat("the controller at ", invocation.controller);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError(
        absl::StrCat(where, " did not answer within ", absl::FormatDuration(timeout)));
  }
  // gRPC's own answer has no words for what this means.
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(
        absl::StrCat(where, " does not know this call: it is older than this mtp-cli"));
  }
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return FromGrpc(status);
  if (!IsConnectionFailure(status.error_message())) {
    return WithHint(FromGrpc(status), "`mtp-cli host list` shows which hosts are reachable");
  }
  if (!invocation.environment.listens(invocation.controller)) {
    return WithHint(absl::UnavailableError(absl::StrCat(where, " does not answer")),
                    "check that it runs and that the address is right: `mtp-cli context show`");
  }
  return WithHint(
      absl::UnavailableError(absl::StrCat(where, " takes no connection of this identity")),
      "the two sides do not accept each other's certificate, or the controller is just starting; "
      "check the identity with `mtp-cli context show`, or ask an admin for a new one");
}

absl::Duration RetryPause(int tried) { return absl::Milliseconds(100) * (1 << tried); }

void PauseBeforeTry(const Invocation& invocation, absl::Duration pause) {
  const Environment& environment = invocation.environment;
  const absl::Duration end = environment.clock.Monotonic() + pause;
  if (invocation.channel) {
    invocation.channel->WaitForConnected(absl::ToChronoTime(absl::Now() + pause));
  }
  // One that takes connections and fails the calls is not asked without a rest.
  const absl::Duration rest = end - environment.clock.Monotonic();
  if (rest > absl::ZeroDuration()) environment.sleep(rest);
}

}  // namespace mtp::cli
