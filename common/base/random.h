// Randomness, injected, so that a seed replays a whole run.
#pragma once

#include <cstdint>
#include <string>

namespace mtp {

// Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Uint64() = 0;
  // `size` random bytes. From the kernel in production: fit for keys and tokens.
  virtual std::string Bytes(size_t size) = 0;
};

// The kernel's generator (getrandom(2)); ends the process when the kernel has none.
class SystemRandom final : public Random {
 public:
  uint64_t Uint64() override;
  std::string Bytes(size_t size) override;
};

}  // namespace mtp
