// Watching one record that ends: an operation, a rollout.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <utility>

#include "common/kv/store.h"
#include "controller/api/gate.h"
#include "controller/api/latest_stream.h"
#include "controller/api/pass_through.h"

namespace mtp {

// How a record is read and watched. All are called before StreamUntilEnd returns.
template <typename Message>
struct Watched {
  // As it is now.
  std::function<absl::StatusOr<Message>()> get;
  // Calls `show` with each state after the revision.
  std::function<absl::StatusOr<std::unique_ptr<kv::Watch>>(int64_t after_revision,
                                                           std::function<void(Message)> show)>
      watch;
  bool (*ended)(const Message&) = nullptr;
};

// The record now and after each change, until it has ended, to an admitted caller, whose place is
// held until then.
template <typename Message>
grpc::ServerWriteReactor<Message>* StreamUntilEnd(const Gate& gate, std::shared_ptr<void> place,
                                                  const kv::Store& store,
                                                  const Watched<Message>& watched) {
  const int64_t revision = store.Revision();
  auto now = watched.get();
  if (!now.ok()) return new RefusedStream<Message>(now.status());
  const auto stream = LatestStream<Message>::Create();
  const auto show = [stream, ended = watched.ended](Message message) {
    const bool last = ended(message);
    stream->Push(std::move(message));
    if (last) stream->Close(absl::OkStatus());
  };
  auto watch = watched.watch(revision, show);
  if (!watch.ok()) {
    stream->Close(watch.status());
    return stream.get();
  }
  // Released on the executor: a watch must not end inside its own callback.
  std::shared_ptr<kv::Watch> held = *std::move(watch);
  Executor* const executor = gate.executor();
  stream->OnEnd([held = std::move(held), place = std::move(place), executor]() mutable {
    place.reset();
    executor->Post([held = std::move(held)] {});
  });
  // What the watch has shown meanwhile is newer than `now`, and comes again with the next change or
  // was the end, after which nothing more is shown: reading again here never goes back.
  if (auto current = watched.get(); current.ok()) show(*std::move(current));
  return stream.get();
}

}  // namespace mtp
