// What restic says, as whole lines.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <string>

namespace mtp {

// Thread-compatible.
class SaidLines {
 public:
  // A line of more than `max_bytes` that has not ended is forgotten.
  explicit SaidLines(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Gives each line that has ended, in pieces of whatever size it came, to `line`.
  void Add(absl::string_view bytes, absl::FunctionRef<void(absl::string_view)> line);

 private:
  const size_t max_bytes_;
  std::string rest_;
};

}  // namespace mtp
