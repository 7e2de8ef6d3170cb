// One call of the controller that waits for its answer.
#pragma once

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include <memory>

#include "common/base/status.h"

namespace mtp::load {

// The longest that a call waits for its answer.
inline constexpr absl::Duration kCall = absl::Seconds(30);

// Asks `method` by `channel`.
template <class Stub, class Request, class Response>
absl::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kCall));
  Stub stub(channel);
  return FromGrpc((stub.*method)(&context, request, response));
}

}  // namespace mtp::load
