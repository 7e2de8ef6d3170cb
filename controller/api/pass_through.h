// A server stream that passes an agent's stream through, one message at a time: a slow reader slows
// the agent, and nothing piles up here.
#pragma once

#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <utility>

#include "common/base/status.h"
#include "common/tls/callback_threads.h"

namespace mtp {

// Owns itself: gone once both sides are done.
template <typename Request, typename Message>
class PassThrough final : public grpc::ServerWriteReactor<Message> {
 public:
  using Begin =
      std::function<void(grpc::ClientContext*, const Request*, grpc::ClientReadReactor<Message>*)>;

  // `channel` and `place` are kept until the end. `begin` starts the agent's call.
  PassThrough(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<void> place, Request request,
              const Begin& begin)
      : channel_(std::move(channel)),
        place_(std::move(place)),
        request_(std::move(request)),
        source_(this) {
    tls::KeepCallbackThreads();
    begin(&source_.context, &request_, &source_);
    // Reads are asked for outside of the call's own reactions, when a message has been passed on.
    // Without a hold the agent's end of the call could come in between, and the call be gone. A
    // message is on its way either in or out, never both: one of them fails, once, and that lets
    // the hold go.
    source_.AddHold();
    source_.StartRead(&message_);
    source_.StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      source_.StartRead(&message_);
    } else {
      source_.context.TryCancel();
      source_.RemoveHold();
    }
  }
  void OnCancel() override { source_.context.TryCancel(); }
  void OnDone() override { Release(); }

 private:
  struct Source final : grpc::ClientReadReactor<Message> {
    explicit Source(PassThrough* owner) : owner(owner) {}
    void OnReadDone(bool ok) override {
      if (ok) {
        owner->StartWrite(&owner->message_);
      } else {
        this->RemoveHold();
      }
    }
    void OnDone(const grpc::Status& status) override {
      owner->Finish(status);
      owner->Release();
    }
    PassThrough* const owner;
    grpc::ClientContext context;
  };

  // Called once by each side.
  void Release() {
    bool last = false;
    {
      absl::MutexLock lock(&mutex_);
      last = --sides_ == 0;
    }
    if (last) delete this;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<void> place_;
  const Request request_;
  Message message_;
  Source source_;
  absl::Mutex mutex_;
  int sides_ ABSL_GUARDED_BY(mutex_) = 2;
};

// A stream that ends at once with an error.
template <typename Message>
class RefusedStream final : public grpc::ServerWriteReactor<Message> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace mtp
