#include "common/base/ulid.h"

#include <algorithm>
#include <array>

namespace mtp {
namespace {

constexpr absl::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kTimeCharacters = 10;
constexpr size_t kCharacters = 26;
constexpr size_t kRandomBytes = 10;

}  // namespace

std::string NewUlid(const Clock& clock, Random& random) {
  std::string ulid(kCharacters, '0');
  auto ms = static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMillis(clock.Now())));
  for (size_t i = kTimeCharacters; i-- > 0; ms >>= 5) ulid[i] = kAlphabet[ms & 31];
  // 80 random bits are 16 characters of 5 bits.
  const std::string bytes = random.Bytes(kRandomBytes);
  uint32_t bits = 0;
  int held = 0;
  size_t at = kTimeCharacters;
  for (char byte : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    for (held += 8; held >= 5; held -= 5) ulid[at++] = kAlphabet[(bits >> (held - 5)) & 31];
  }
  return ulid;
}

bool IsUlid(absl::string_view text) {
  // The first character holds only the upper 3 of the 48 time bits.
  return text.size() == kCharacters && text[0] <= '7' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return kAlphabet.find(c) != absl::string_view::npos; });
}

}  // namespace mtp
