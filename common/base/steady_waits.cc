#include "common/base/steady_waits.h"

#include <absl/base/config.h>

#if defined(ABSL_LTS_RELEASE_VERSION) && ABSL_LTS_RELEASE_VERSION < 20230802

#include <absl/base/internal/thread_identity.h>
#include <absl/synchronization/internal/create_thread_identity.h>
#include <absl/synchronization/internal/per_thread_sem.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#define MTP_QUOTED(name) #name
#define MTP_NAME_OF(symbol) MTP_QUOTED(symbol)

namespace {

using absl::base_internal::ThreadIdentity;
using absl::synchronization_internal::KernelTimeout;

constexpr int64_t kNsPerSecond = 1'000'000'000;

// How often a thread was woken and has not gone on for it yet. Abseil sets the bytes that it keeps
// for this to zero when it makes a thread's identity.
using Wakes = std::atomic<int32_t>;
static_assert(sizeof(Wakes) == sizeof(int32_t));
static_assert(sizeof(Wakes) <= sizeof(ThreadIdentity::WaiterState));

Wakes* WakesOf(ThreadIdentity* identity) {
  return reinterpret_cast<Wakes*>(identity->waiter_state.data);
}

bool TakeOne(Wakes* wakes) {
  int32_t count = wakes->load(std::memory_order_relaxed);
  while (count > 0) {
    if (wakes->compare_exchange_weak(count, count - 1, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

timespec Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now;
}

// The moment on the monotonic clock that is as far away as `moment` is now on the wall clock.
timespec OnMonotonicClock(timespec moment) {
  const timespec wall = Now(CLOCK_REALTIME);
  timespec steady = Now(CLOCK_MONOTONIC);
  steady.tv_sec += moment.tv_sec - wall.tv_sec;
  steady.tv_nsec += moment.tv_nsec - wall.tv_nsec;
  if (steady.tv_nsec < 0) {
    steady.tv_nsec += kNsPerSecond;
    steady.tv_sec -= 1;
  } else if (steady.tv_nsec >= kNsPerSecond) {
    steady.tv_nsec -= kNsPerSecond;
    steady.tv_sec += 1;
  }
  return steady.tv_sec < 0 ? timespec{} : steady;
}

}  // namespace

extern "C" {

void ABSL_INTERNAL_C_SYMBOL(AbslInternalPerThreadSemPost)(ThreadIdentity* identity) {
  Wakes* const wakes = WakesOf(identity);
  if (wakes->fetch_add(1, std::memory_order_release) == 0) {
    syscall(SYS_futex, wakes, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

bool ABSL_INTERNAL_C_SYMBOL(AbslInternalPerThreadSemWait)(KernelTimeout deadline) {
  Wakes* const wakes = WakesOf(absl::synchronization_internal::GetOrCreateCurrentThreadIdentity());
  timespec end{};
  if (deadline.has_timeout()) end = OnMonotonicClock(deadline.MakeAbsTimespec());
  while (!TakeOne(wakes)) {
    // An absolute moment; on the monotonic clock, since nothing else is said.
    const long code =
        syscall(SYS_futex, wakes, FUTEX_WAIT_BITSET_PRIVATE, 0,
                deadline.has_timeout() ? &end : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
    if (code != 0 && errno == ETIMEDOUT) return false;
  }
  return true;
}

}  // extern "C"

namespace mtp {

bool WaitsAreSteady() {
  return dlsym(RTLD_DEFAULT, MTP_NAME_OF(ABSL_INTERNAL_C_SYMBOL(AbslInternalPerThreadSemWait))) ==
         reinterpret_cast<void*>(&ABSL_INTERNAL_C_SYMBOL(AbslInternalPerThreadSemWait));
}

}  // namespace mtp

#else

namespace mtp {

bool WaitsAreSteady() { return true; }

}  // namespace mtp

#endif
