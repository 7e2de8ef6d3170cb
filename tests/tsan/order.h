// What ThreadSanitizer's runtime library is told; nothing in a program without it, which a test may
// start.
#pragma once

extern "C" {
[[gnu::weak]] void __tsan_acquire(void* address);  // NOLINT(bugprone-reserved-identifier)
[[gnu::weak]] void __tsan_release(void* address);  // NOLINT(bugprone-reserved-identifier)
}

namespace mtp {

// What other threads did before they released `address` has happened before.
inline void Acquire(void* address) {
  if (__tsan_acquire != nullptr) __tsan_acquire(address);
}

// What this thread did happens before whatever follows an Acquire of `address`.
inline void Release(void* address) {
  if (__tsan_release != nullptr) __tsan_release(address);
}

}  // namespace mtp
