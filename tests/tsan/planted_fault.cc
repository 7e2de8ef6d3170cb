// Two threads that count to 20,000 together, under a lock of Abseil's, and a read of what they have
// counted: `none` does both as it ought to be, `tsan` counts without the lock, and `asan` reads
// beyond the end. Unless a sanitizer says nothing of the first and finds what is planted for it,
// whatever it says of the tests means nothing.
#include <absl/synchronization/mutex.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  const char* const planted = argc > 1 ? argv[1] : "none";
  const bool locked = std::strcmp(planted, "tsan") != 0;
  const size_t beyond = std::strcmp(planted, "asan") == 0 ? 1 : 0;
  absl::Mutex mutex;
  std::vector<int> count(1);
  const auto work = [&] {
    for (int i = 0; i < 10'000; ++i) {
      std::optional<absl::MutexLock> lock;
      if (locked) lock.emplace(&mutex);
      ++count[0];
    }
  };
  std::thread other(work);
  work();
  other.join();
  std::printf("%d\n", count.data()[beyond]);
  return 0;
}
