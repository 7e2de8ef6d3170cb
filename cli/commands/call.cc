#include "cli/commands/call.h"

#include <absl/strings/str_cat.h>

#include "common/base/ulid.h"

namespace mtp::cli {

std::string NewRequestId(Invocation& invocation) {
  return absl::StrCat("cli-", NewUlid(invocation.environment.clock, invocation.environment.random));
}

absl::Status CallStatus(const grpc::Status& status, absl::Duration timeout) {
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::UnavailableError(
          absl::StrCat("the controller did not answer within ", absl::FormatDuration(timeout)));
    case grpc::StatusCode::UNAVAILABLE:
      return absl::UnavailableError(
          absl::StrCat("the controller is unreachable: ", status.error_message()));
    default:
      return FromGrpc(status);
  }
}

absl::Duration RetryPause(int tried) { return absl::Milliseconds(100) * (1 << tried); }

}  // namespace mtp::cli
