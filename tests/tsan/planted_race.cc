// Two threads that count to 20,000 together, under a lock of Abseil's (`locked`) or without one. Of
// the first ThreadSanitizer must say nothing and of the second that it is a race: else whatever it
// says of the tests means nothing (tests/run.sh tsan).
#include <absl/synchronization/mutex.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

int main(int argc, char** argv) {
  const bool locked = argc > 1 && std::strcmp(argv[1], "locked") == 0;
  absl::Mutex mutex;
  int count = 0;
  const auto work = [&] {
    for (int i = 0; i < 10'000; ++i) {
      std::optional<absl::MutexLock> lock;
      if (locked) lock.emplace(&mutex);
      ++count;
    }
  };
  std::thread other(work);
  work();
  other.join();
  std::printf("%d\n", count);
  return 0;
}
