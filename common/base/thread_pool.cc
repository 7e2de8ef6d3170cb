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
    wake_.SignalAll();
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
  tasks_.emplace(MonotonicNow() + std::max(delay, absl::ZeroDuration()), std::move(task));
  wake_.Signal();
}

void ThreadPool::Work() {
  mutex_.Lock();
  while (running_) {
    if (tasks_.empty()) {
      wake_.Wait(&mutex_);
      continue;
    }
    auto first = tasks_.begin();
    const absl::Duration left = first->first - MonotonicNow();
    if (left > absl::ZeroDuration()) {
      wake_.WaitWithTimeout(&mutex_, left);
      continue;
    }
    std::function<void()> task = std::move(first->second);
    tasks_.erase(first);
    mutex_.Unlock();
    task();
    task = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

}  // namespace mtp
