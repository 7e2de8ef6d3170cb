// What a program that handles secrets does about its memory: nobody else reads it, no core of it is
// written, and what it gives back is wiped. See docs/decisions/0015-secrets.md.
#pragma once

#include <absl/status/status.h>

namespace mtp {

// For main(), before anything secret is read:
// - no core of this process is written, whatever takes it, and no other process without
//   CAP_SYS_PTRACE may trace it or read its memory and environment (prctl(2), PR_SET_DUMPABLE);
// - the programs that it starts write no core either (RLIMIT_CORE), and where cores go through a
//   pipe, which no limit holds, theirs are without contents (core(5), coredump_filter).
// INTERNAL when the system refuses. Twice changes nothing.
absl::Status KeepMemoryPrivate();

// A program that calls KeepMemoryPrivate is linked with a free() and a realloc() that overwrite
// what they give back: its own strings and messages, and what gRPC, protobuf, OpenSSL and SQLite
// have held. So nobody has to remember which of many copies was a secret. False under the
// sanitizers, which bring an allocator of their own.
#if defined(__has_feature)
#define MTP_HAS_FEATURE(feature) __has_feature(feature)
#else
#define MTP_HAS_FEATURE(feature) 0
#endif
// With GCC the last is what says so of ThreadSanitizer (cmake/Toolchain.cmake).
#if MTP_HAS_FEATURE(address_sanitizer) || MTP_HAS_FEATURE(thread_sanitizer) || \
    defined(__SANITIZE_ADDRESS__) || defined(_GLIBCXX_TSAN)
#define MTP_WIPES_FREED_MEMORY 0
#else
#define MTP_WIPES_FREED_MEMORY 1
#endif

}  // namespace mtp
