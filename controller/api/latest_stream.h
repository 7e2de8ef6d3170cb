// A server stream of states: a slow reader gets the latest, never a queue.
#pragma once

#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/status.h"

namespace mtp {

// Lives as long as someone holds it or the call goes on. Push and Close may be called from any
// thread, also after the end.
template <typename Message>
class LatestStream final : public grpc::ServerWriteReactor<Message> {
 public:
  static std::shared_ptr<LatestStream> Create() {
    std::shared_ptr<LatestStream> stream(new LatestStream());
    stream->self_ = stream;
    return stream;
  }

  // Called once, when the call is over; ends what feeds the stream.
  void OnEnd(std::function<void()> on_end) {
    absl::MutexLock lock(&mutex_);
    on_end_ = std::move(on_end);
  }
  // The newest state; replaces one that was not sent yet.
  void Push(Message message) {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    next_ = std::move(message);
    SendNext();
  }
  // Ends the stream after what is pending.
  void Close(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    closing_ = status;
    if (!writing_) FinishOnce();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !closing_) closing_ = absl::CancelledError("the caller is gone");
    if (closing_ && (!ok || !next_)) {
      FinishOnce();
      return;
    }
    SendNext();
  }
  void OnCancel() override { Close(absl::CancelledError("the caller is gone")); }
  void OnDone() override {
    std::function<void()> on_end;
    {
      absl::MutexLock lock(&mutex_);
      on_end = std::move(on_end_);
    }
    if (on_end) on_end();
    self_.reset();
  }

 private:
  LatestStream() = default;

  void SendNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_ || !next_) return;
    current_ = *std::move(next_);
    next_.reset();
    writing_ = true;
    this->StartWrite(&current_);
  }
  void FinishOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_) return;
    finished_ = true;
    this->Finish(ToGrpc(*closing_));
  }

  std::shared_ptr<LatestStream> self_;
  absl::Mutex mutex_;
  std::function<void()> on_end_ ABSL_GUARDED_BY(mutex_);
  std::optional<Message> next_ ABSL_GUARDED_BY(mutex_);
  Message current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> closing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
