// A wall clock that a test moves: a library for LD_PRELOAD, for a program that is linked with
// glibc's calls (ours are; Go's programs ask the kernel themselves). clocks.sh compiles it.
//
// $MTP_WALL_CLOCK names a file of eight bytes: nanoseconds, of this machine's order, by which the
// program's wall clock is ahead. It is mapped, so a change counts from the next look on, also for
// waits that go on. Without the variable, or the file, nothing is changed. Monotonic and boot time
// are left alone, and so are times of files.
//
// Not libfaketime: that leaves waits for a moment of the wall clock (futex(2), which Abseil and
// gRPC use) to the real clock, so that a program whose clock is an hour ahead waits an hour longer.
// Here such a wait ends, as in the kernel, when the program's own clock says so.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
// How late a wait may notice that the clock was set.
constexpr int64_t kSliceNs = 50'000'000;

using Syscall = long (*)(long, ...);

Syscall RealSyscall() {
  static const auto real = reinterpret_cast<Syscall>(dlsym(RTLD_NEXT, "syscall"));
  return real;
}

const volatile int64_t* MapOffset() {
  const char* path = getenv("MTP_WALL_CLOCK");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  return mapped == MAP_FAILED ? nullptr : static_cast<const volatile int64_t*>(mapped);
}

int64_t Ahead() {
  static const volatile int64_t* const offset = MapOffset();
  return offset == nullptr ? 0 : *offset;
}

timespec ToTimespec(int64_t ns) {
  return {static_cast<time_t>(ns / kNsPerSecond), static_cast<long>(ns % kNsPerSecond)};
}

int64_t WallNs(clockid_t clock) {
  timespec now{};
  RealSyscall()(SYS_clock_gettime, clock, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec + Ahead();
}

bool IsWall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

// As futex(2) with FUTEX_CLOCK_REALTIME: until woken, or until the program's clock is at `end`.
long WaitUntil(const long (&words)[6]) {
  const auto* end = reinterpret_cast<const timespec*>(words[3]);
  const long wait = FUTEX_WAIT | (words[1] & FUTEX_PRIVATE_FLAG);
  while (true) {
    const timespec now = ToTimespec(WallNs(CLOCK_REALTIME));
    // In seconds first: an end may be centuries away.
    int64_t left = kSliceNs + 1;
    if (end->tv_sec <= now.tv_sec + 1) {
      left = (end->tv_sec - now.tv_sec) * kNsPerSecond + end->tv_nsec - now.tv_nsec;
    }
    const bool last = left <= kSliceNs;
    const timespec slice = ToTimespec(left < 0 ? 0 : (last ? left : kSliceNs));
    const long code = RealSyscall()(SYS_futex, words[0], wait, words[2], &slice, nullptr, 0);
    if (code == 0 || errno != ETIMEDOUT || last) return code;
  }
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  if (IsWall(clock)) {
    *out = ToTimespec(WallNs(clock));
    return 0;
  }
  return static_cast<int>(RealSyscall()(SYS_clock_gettime, clock, out));
}

int gettimeofday(timeval* __restrict out, void* __restrict) noexcept {
  const int64_t now = WallNs(CLOCK_REALTIME);
  *out = {static_cast<time_t>(now / kNsPerSecond),
          static_cast<suseconds_t>(now % kNsPerSecond / 1000)};
  return 0;
}

time_t time(time_t* out) noexcept {
  const time_t now = WallNs(CLOCK_REALTIME) / kNsPerSecond;
  if (out != nullptr) *out = now;
  return now;
}

int timespec_get(timespec* out, int base) noexcept {
  if (base != TIME_UTC) return 0;
  *out = ToTimespec(WallNs(CLOCK_REALTIME));
  return base;
}

long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long words[6];
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  const long command = words[1] & FUTEX_CMD_MASK;
  if (number == SYS_futex && command == FUTEX_WAIT_BITSET &&
      (words[1] & FUTEX_CLOCK_REALTIME) != 0 && words[3] != 0) {
    return WaitUntil(words);
  }
  return RealSyscall()(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

}  // extern "C"
