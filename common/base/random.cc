#include "common/base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <cstdio>
#include <cstdlib>

namespace mtp {
namespace {

void Fill(char* out, size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      // Without randomness every key would be guessable: there is no safe way to go on.
      std::fputs("getrandom(2) failed: the kernel has no random generator\n", stderr);
      std::abort();
    }
    out += got;
    size -= static_cast<size_t>(got);
  }
}

}  // namespace

uint64_t SystemRandom::Uint64() {
  uint64_t value = 0;
  Fill(reinterpret_cast<char*>(&value), sizeof(value));
  return value;
}

std::string SystemRandom::Bytes(size_t size) {
  std::string bytes(size, '\0');
  Fill(bytes.data(), size);
  return bytes;
}

}  // namespace mtp
