// The production Executor: a fixed number of threads and a timer.
#pragma once

#include <absl/synchronization/mutex.h>

#include <map>
#include <thread>
#include <vector>

#include "common/base/executor.h"

namespace mtp {

class ThreadPool final : public Executor {
 public:
  // `threads` workers, at least 1, begun by Start().
  explicit ThreadPool(int threads);
  // Stops.
  ~ThreadPool() override;

  void Start();
  // Waits for running tasks, drops the rest and all that is posted later. Twice changes nothing.
  // Not from a task.
  void Stop();

  void Post(std::function<void()> task) override;
  void PostAfter(absl::Duration delay, std::function<void()> task) override;

 private:
  void Work();
  // One that does nothing waits: for the first task's time if nobody does, else to be called.
  void Wait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After a change of the first task: has one thread look at it, and no more than one.
  void CallOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration UntilFirst() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int thread_count_;
  absl::Mutex mutex_;
  // Of the thread that waits for a time, of which there is at most one, and of all others.
  absl::CondVar timer_wake_;
  absl::CondVar idle_wake_;
  bool timer_waits_ ABSL_GUARDED_BY(mutex_) = false;
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // By due time, in monotonic time; equal times keep their order.
  std::multimap<absl::Time, std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace mtp
