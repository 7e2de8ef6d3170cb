// Tells ThreadSanitizer what Abseil's locks put in order. Linked in front of it by programs that
// are built for it (tests/run.sh tsan): Debian's Abseil is built without, so that it would know of
// no lock and take whatever two threads do under one for a race.
//
// Each function stands for the one of the same name in Abseil's library and calls that one. Before
// it unlocks, what this thread did happens before whatever is locked next (`__tsan_release`); after
// it has locked, what others did before they unlocked has happened before (`__tsan_acquire`).
// Conditions are looked at by whoever unlocks, after that was said, and so are not watched.
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "tests/tsan/order.h"

// Of the runtime library; absent in programs that a test starts and that are built without it.
extern "C" {
[[gnu::weak]] void AnnotateIgnoreReadsBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

using mtp::Acquire;
using mtp::Release;

class Unwatched {
 public:
  Unwatched() {
    if (AnnotateIgnoreReadsBegin != nullptr) AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  }
  ~Unwatched() {
    if (AnnotateIgnoreReadsEnd != nullptr) AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
};

// Abseil's own function of the name of `here`.
void* Real(void* here) {
  Dl_info found{};
  if (dladdr(here, &found) == 0 || found.dli_sname == nullptr) std::abort();
  void* const real = dlsym(RTLD_NEXT, found.dli_sname);
  if (real == nullptr) std::abort();
  return real;
}

// Calls Abseil's own `kMethod`.
template <auto kMethod, typename Object, typename... Args>
auto Call(Object* object, Args... args) {
  static void* const real = [] {
    // A method that is not virtual is its address, and an offset that is zero.
    auto method = kMethod;
    void* here = nullptr;
    std::memcpy(&here, &method, sizeof(here));
    return Real(here);
  }();
  using Result = decltype((object->*kMethod)(args...));
  const Unwatched unwatched;
  return reinterpret_cast<Result (*)(Object*, Args...)>(real)(object, args...);
}

template <auto kMethod>
void Locks(Mutex* mutex) {
  Call<kMethod>(mutex);
  Acquire(mutex);
}

template <auto kMethod>
bool MayLock(Mutex* mutex) {
  const bool locked = Call<kMethod>(mutex);
  if (locked) Acquire(mutex);
  return locked;
}

template <auto kMethod>
void Unlocks(Mutex* mutex) {
  Release(mutex);
  Call<kMethod>(mutex);
}

// Locked when they begin and when they end, unlocked between.
template <auto kMethod, typename... Args>
bool Waits(Mutex* mutex, Args... args) {
  Release(mutex);
  const bool result = Call<kMethod, Mutex, Args...>(mutex, args...);
  Acquire(mutex);
  return result;
}

}  // namespace

void Mutex::Lock() { Locks<&Mutex::Lock>(this); }
void Mutex::ReaderLock() { Locks<&Mutex::ReaderLock>(this); }
bool Mutex::TryLock() { return MayLock<&Mutex::TryLock>(this); }
bool Mutex::ReaderTryLock() { return MayLock<&Mutex::ReaderTryLock>(this); }
void Mutex::Unlock() { Unlocks<&Mutex::Unlock>(this); }
void Mutex::ReaderUnlock() { Unlocks<&Mutex::ReaderUnlock>(this); }

void Mutex::Await(const Condition& condition) {
  Release(this);
  Call<&Mutex::Await, Mutex, const Condition&>(this, condition);
  Acquire(this);
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return Waits<&Mutex::AwaitWithTimeout, const Condition&>(this, condition, timeout);
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return Waits<&Mutex::AwaitWithDeadline, const Condition&>(this, condition, deadline);
}
void Mutex::LockWhen(const Condition& condition) {
  Call<&Mutex::LockWhen, Mutex, const Condition&>(this, condition);
  Acquire(this);
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  const bool met =
      Call<&Mutex::LockWhenWithTimeout, Mutex, const Condition&>(this, condition, timeout);
  Acquire(this);
  return met;
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  const bool met =
      Call<&Mutex::LockWhenWithDeadline, Mutex, const Condition&>(this, condition, deadline);
  Acquire(this);
  return met;
}

void CondVar::Wait(Mutex* mutex) {
  Release(mutex);
  Call<&CondVar::Wait>(this, mutex);
  Acquire(mutex);
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  Release(mutex);
  const bool timed_out = Call<&CondVar::WaitWithTimeout>(this, mutex, timeout);
  Acquire(mutex);
  return timed_out;
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  Release(mutex);
  const bool timed_out = Call<&CondVar::WaitWithDeadline>(this, mutex, deadline);
  Acquire(mutex);
  return timed_out;
}

ABSL_NAMESPACE_END
}  // namespace absl
