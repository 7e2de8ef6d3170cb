#include "agent/openclaw/gateway.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "agent/openclaw/gateway_connection.h"
#include "agent/openclaw/gateway_frames.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr auto kRetryInterval = std::chrono::milliseconds(500);

// Returns early on a stop request.
void Pause(std::chrono::steady_clock::time_point until, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_until(lock, stop, until, [] { return false; });
}

}  // namespace

absl::StatusOr<std::string> CallGateway(const ContainerProcess& process, uint16_t port,
                                        const SecretString& token, const std::string& method,
                                        const std::string& params_json, absl::Duration timeout,
                                        std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(const std::string request,
                       RequestFrame(kGatewayCallId, method, params_json));
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  while (true) {
    GatewayOutcome outcome;
    absl::StatusOr<FileDescriptor> socket = ConnectInContainer(
        process, port, absl::FromChrono(deadline - std::chrono::steady_clock::now()), stop);
    if (socket.ok()) {
      outcome = CallOverConnection(std::move(*socket), port, token, request, deadline, stop);
    } else {
      outcome = {socket.status(), /*retry=*/absl::IsUnavailable(socket.status())};
    }
    if (outcome.payload.ok()) return outcome.payload;
    if (stop.stop_requested()) return absl::CancelledError("stopped on request");
    const auto next = std::chrono::steady_clock::now() + kRetryInterval;
    if (!outcome.retry || next >= deadline) return outcome.payload.status();
    Pause(next, stop);
  }
}

}  // namespace mtp
