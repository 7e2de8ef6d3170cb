#include "common/base/thread_pool.h"

#include <absl/time/clock.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "common/base/clock.h"

namespace mtp {
namespace {

// Due times are kept as absl::Time counted from the epoch in *monotonic* time, so that a jump of
// the wall clock neither delays nor hurries a task.
absl::Time MonotonicNow() { return absl::UnixEpoch() + SystemClock().Monotonic(); }

}  // namespace

ThreadPool::ThreadPool(int threads) : thread_count_(std::max(1, threads)) {}

ThreadPool::~ThreadPool() { Stop(); }

void ThreadPool::Start() {
  {
    absl::MutexLock lock(&mutex_);
    if (running_ || stopped_) return;
    running_ = true;
  }
  // Signals are for the main thread: workers begin with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { Work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ThreadPool::Stop() {
  std::multimap<absl::Time, std::function<void()>> dropped;
  {
    absl::MutexLock lock(&mutex_);
    running_ = false;
    stopped_ = true;
    // Destroyed outside of the lock: a task's captures may post in their destructors.
    dropped.swap(tasks_);
    timer_wake_.SignalAll();
    idle_wake_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::Post(std::function<void()> task) {
  PostAfter(absl::ZeroDuration(), std::move(task));
}

void ThreadPool::PostAfter(absl::Duration delay, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  // Before Start and after Stop nothing runs; tasks of before Start wait for it.
  if (stopped_) return;
  const auto added =
      tasks_.emplace(MonotonicNow() + std::max(delay, absl::ZeroDuration()), std::move(task));
  if (added == tasks_.begin()) CallOne();
}

absl::Duration ThreadPool::UntilFirst() const { return tasks_.begin()->first - MonotonicNow(); }

void ThreadPool::CallOne() {
  if (tasks_.empty()) return;
  const bool is_due = UntilFirst() <= absl::ZeroDuration();
  if (idle_ > 0 && (is_due || !timer_waits_)) {
    idle_wake_.Signal();
  } else if (timer_waits_) {
    timer_wake_.Signal();
  }
  // Otherwise all are busy, and look at it when they have done what they are about.
}

void ThreadPool::Wait() {
  if (tasks_.empty() || timer_waits_) {
    ++idle_;
    idle_wake_.Wait(&mutex_);
    --idle_;
    return;
  }
  timer_waits_ = true;
  timer_wake_.WaitWithTimeout(&mutex_, UntilFirst());
  timer_waits_ = false;
}

void ThreadPool::Work() {
  mutex_.Lock();
  while (running_) {
    if (tasks_.empty() || UntilFirst() > absl::ZeroDuration()) {
      Wait();
      continue;
    }
    std::function<void()> task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    CallOne();
    mutex_.Unlock();
    task();
    task = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

}  // namespace mtp
