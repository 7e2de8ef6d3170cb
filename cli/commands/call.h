// Calls of the controller.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>

#include <functional>
#include <memory>
#include <string>

#include "cli/commands/invocation.h"
#include "cli/commands/renewal.h"
#include "common/base/status.h"

namespace mtp::cli {

// How long one ordinary call may take.
inline constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// How often a call is tried whose controller is unreachable; with pauses of 0.2, 0.4 and 0.8 s
// between.
inline constexpr int kCallTries = 4;

// A new request id, for calls that must happen once even when they are repeated.
std::string NewRequestId(Invocation& invocation);

// The status of a call as commands return it. A deadline that passed here, and a connection that
// failed, mean that the controller is unreachable; which of the two sides is to blame is looked
// into. What the controller itself says stays.
absl::Status CallStatus(const Invocation& invocation, const grpc::Status& status,
                        absl::Duration timeout);

// The pause before try number `tried + 1`.
absl::Duration RetryPause(int tried);

// Pauses for that long after a call whose controller was unreachable. gRPC carries a connection
// attempt on only while somebody waits for something of the channel, and calls fail at once until
// it has succeeded: so the pause is a wait for the connection, and sleeps only once that is up.
void PauseBeforeTry(const Invocation& invocation, absl::Duration pause);

// Calls `method` of a stub and tries again while the controller is unreachable. The request must be
// safe to repeat: it reads, sets something, or carries a request id. `make_stub` is
// `v1::TenantService::NewStub`.
template <class Stub, class Request, class Response>
absl::StatusOr<Response> Call(Invocation& invocation,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, absl::Duration timeout = kCallTimeout) {
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  Stub stub(channel);
  for (int tried = 1;; ++tried) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (status.ok()) {
      if (const auto connection = context.auth_context()) FollowAuthority(invocation, *connection);
      return response;
    }
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || tried == kCallTries) {
      return CallStatus(invocation, status, timeout);
    }
    PauseBeforeTry(invocation, RetryPause(tried));
  }
}

// Reads a stream to its end. `on_message` returns false to stop reading; `on_tick` is called about
// every `tick`, also between messages. The context and the queue must be those that the reader was
// made with.
template <class Response>
grpc::Status ReadStream(grpc::ClientContext& context, grpc::CompletionQueue& queue,
                        grpc::ClientAsyncReader<Response>& reader, absl::Duration tick,
                        const std::function<bool(const Response&)>& on_message,
                        const std::function<void()>& on_tick) {
  Response response;
  grpc::Status status;
  bool finishing = false;
  bool stopped = false;
  reader.StartCall(&reader);
  bool started = false;
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    switch (queue.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + tick))) {
      case grpc::CompletionQueue::TIMEOUT:
        if (!stopped) on_tick();
        continue;
      case grpc::CompletionQueue::SHUTDOWN:
        return status;
      case grpc::CompletionQueue::GOT_EVENT:
        break;
    }
    if (finishing) return stopped ? grpc::Status::OK : status;
    if (ok && started && !stopped && !on_message(response)) {
      stopped = true;
      context.TryCancel();
    }
    started = true;
    if (ok && !stopped) {
      reader.Read(&response, &reader);
    } else {
      finishing = true;
      reader.Finish(&status, &reader);
    }
  }
}

}  // namespace mtp::cli
