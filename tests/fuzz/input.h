// Takes an input apart.
#pragma once

#include <absl/strings/numbers.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mtp::fuzz {

// Debian's Abseil has a view of its own.
inline std::string_view Std(absl::string_view text) { return {text.data(), text.size()}; }

class Input {
 public:
  explicit Input(absl::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  // Up to the next newline, which is passed over; empty at the end.
  std::string Line() { return Until('\n'); }
  // Up to the next `end`, which is passed over.
  std::string Until(char end) {
    const size_t at = rest_.find(end);
    std::string piece(rest_.substr(0, at));
    rest_.remove_prefix(at == absl::string_view::npos ? rest_.size() : at + 1);
    return piece;
  }
  // A line as a number; 0 when it is none.
  int64_t Number() {
    int64_t number = 0;
    return absl::SimpleAtoi(Line(), &number) ? number : 0;
  }
  // 0 at the end.
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // At most `size` bytes.
  absl::string_view Take(size_t size) {
    const absl::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // All that is left.
  absl::string_view Rest() { return Take(rest_.size()); }

 private:
  absl::string_view rest_;
};

}  // namespace mtp::fuzz
