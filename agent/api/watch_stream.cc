#include "agent/api/watch_stream.h"

#include <grpcpp/support/server_callback.h>

namespace mtp {
namespace {

constexpr size_t kMaxWaiting = 10'000;
constexpr absl::Duration kHeartbeat = absl::Seconds(4);

class WatchStream final : public grpc::ServerWriteReactor<v1::AgentEvent>,
                          public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(Executor* executor, std::function<v1::LeaseStamp()> stamp)
      : executor_(executor), stamp_(std::move(stamp)) {}

  void Begin(Board* board) {
    self_ = shared_from_this();
    std::weak_ptr<WatchStream> weak = weak_from_this();
    auto listener = board->Listen(kMaxWaiting, [weak] {
      if (auto stream = weak.lock()) stream->WriteNext();
    });
    {
      absl::MutexLock lock(&mutex_);
      listener_ = std::move(listener);
    }
    WriteNext();
    ScheduleHeartbeat();
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
    }
    if (!ok) return End(grpc::Status::CANCELLED);
    WriteNext();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    std::shared_ptr<Board::Listener> listener;
    {
      absl::MutexLock lock(&mutex_);
      listener = std::move(listener_);
    }
    // The last owner frees this object.
    auto self = std::move(self_);
  }

 private:
  void WriteNext() {
    bool overrun = false;
    {
      absl::MutexLock lock(&mutex_);
      if (writing_ || ended_ || !listener_) return;
      overrun = listener_->overrun();
      if (!overrun) {
        auto event = listener_->Take();
        if (!event && heartbeat_due_) {
          event.emplace();
          event->set_heartbeat(true);
        }
        heartbeat_due_ = false;
        if (!event) return;
        current_ = *std::move(event);
        if (stamp_) *current_.mutable_lease_stamp() = stamp_();
        writing_ = true;
        StartWrite(&current_);
      }
    }
    if (overrun) {
      End(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the watcher is too slow"));
    }
  }

  void ScheduleHeartbeat() {
    std::weak_ptr<WatchStream> weak = weak_from_this();
    executor_->PostAfter(kHeartbeat, [weak] {
      auto stream = weak.lock();
      if (!stream) return;
      {
        absl::MutexLock lock(&stream->mutex_);
        if (stream->ended_) return;
        stream->heartbeat_due_ = true;
      }
      stream->WriteNext();
      stream->ScheduleHeartbeat();
    });
  }

  void End(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      if (ended_) return;
      ended_ = true;
    }
    Finish(status);
  }

  Executor* const executor_;
  const std::function<v1::LeaseStamp()> stamp_;
  absl::Mutex mutex_;
  std::shared_ptr<Board::Listener> listener_ ABSL_GUARDED_BY(mutex_);
  v1::AgentEvent current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool heartbeat_due_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<WatchStream> self_;
};

}  // namespace

grpc::ServerWriteReactor<v1::AgentEvent>* NewWatchStream(Board* board, Executor* executor,
                                                         std::function<v1::LeaseStamp()> stamp) {
  auto stream = std::make_shared<WatchStream>(executor, std::move(stamp));
  stream->Begin(board);
  return stream.get();
}

}  // namespace mtp
