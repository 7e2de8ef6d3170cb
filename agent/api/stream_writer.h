// A server stream written by a blocking thread: the callback API beneath, backpressure above.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <stop_token>
#include <utility>

namespace mtp {

// Make it with New(); gRPC and the producing thread keep it alive together.
template <typename Message>
class StreamWriter final : public grpc::ServerWriteReactor<Message> {
 public:
  static std::shared_ptr<StreamWriter> New() {
    std::shared_ptr<StreamWriter> writer(new StreamWriter());
    writer->self_ = writer;
    return writer;
  }

  // Blocks until the message before has gone out. False when the caller has gone, or has not taken
  // it for as long as `patience`: stop producing. End then waits until the call was cancelled.
  bool Write(Message message, absl::Duration patience = absl::InfiniteDuration()) {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(this, &StreamWriter::CanGoOn), patience)) {
      gone_ = true;
    }
    if (gone_) return false;
    current_ = std::move(message);
    writing_ = true;
    this->StartWrite(&current_);
    return true;
  }

  // The last call of the producer.
  void End(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &StreamWriter::IsIdle));
    }
    this->Finish(status);
  }

  // Requested when the caller has gone.
  std::stop_token stop() const { return stop_.get_token(); }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) gone_ = true;
  }
  void OnCancel() override {
    {
      absl::MutexLock lock(&mutex_);
      gone_ = true;
    }
    stop_.request_stop();
  }
  void OnDone() override { self_.reset(); }

 private:
  StreamWriter() = default;
  bool CanGoOn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_ || gone_; }
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_; }

  absl::Mutex mutex_;
  Message current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  std::stop_source stop_;
  std::shared_ptr<StreamWriter> self_;
};

}  // namespace mtp
