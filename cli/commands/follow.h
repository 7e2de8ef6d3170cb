// Following a resource that the controller carries on, until it has ended.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/support/async_stream.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "cli/commands/call.h"
#include "cli/commands/invocation.h"

namespace mtp::cli {

inline constexpr absl::Duration kFollowTick = absl::Milliseconds(125);  // of what is drawn live
inline constexpr absl::Duration kLongestPause = absl::Seconds(2);

template <class Message>
struct Followed {
  // Prepares the call that streams it.
  std::function<std::unique_ptr<grpc::ClientAsyncReader<Message>>(grpc::ClientContext*,
                                                                  grpc::CompletionQueue*)>
      watch;
  std::function<bool(const Message&)> ended;
  // What is shown meanwhile; a note is one line about the following itself, or empty.
  std::function<void(const Message&)> show;
  std::function<void()> tick;
  std::function<void(absl::string_view)> note;
};

// One stream's worth. UNAVAILABLE when it broke and following should begin again.
template <class Message>
grpc::Status FollowOnce(const Followed<Message>& followed, absl::Time deadline, Message* latest) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  grpc::CompletionQueue queue;
  auto reader = followed.watch(&context, &queue);
  grpc::Status status = ReadStream<Message>(
      context, queue, *reader, kFollowTick,
      [&](const Message& message) {
        *latest = message;
        followed.note("");
        followed.show(message);
        return !followed.ended(message);
      },
      followed.tick);
  // A stream that ends in order although the resource has not: the controller is about to stop.
  if (status.ok() && !followed.ended(*latest)) {
    return {grpc::StatusCode::UNAVAILABLE, "the controller ended the stream"};
  }
  return status;
}

// Follows `*latest` until it has ended; a lost connection is made again. False when `timeout` has
// passed before.
template <class Message>
absl::StatusOr<bool> FollowToEnd(Invocation& invocation, const Followed<Message>& followed,
                                 absl::Duration timeout, absl::string_view when_lost,
                                 Message* latest) {
  const Environment& environment = invocation.environment;
  const absl::Duration end = environment.clock.Monotonic() + timeout;
  followed.show(*latest);
  for (int lost = 0; !followed.ended(*latest);) {
    const absl::Duration left = end - environment.clock.Monotonic();
    if (left <= absl::ZeroDuration()) return false;
    const std::string before = latest->etag();
    const grpc::Status status = FollowOnce(followed, absl::Now() + left, latest);
    if (status.ok()) break;
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return false;
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return FromGrpc(status);
    lost = latest->etag() == before ? lost + 1 : 1;
    if (lost == 1) followed.note(when_lost);
    followed.tick();
    PauseBeforeTry(invocation, std::min({RetryPause(std::min(lost, 5)), kLongestPause, left}));
  }
  return true;
}

}  // namespace mtp::cli
