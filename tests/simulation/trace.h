// What happened, in order: as a hash that must be equal when a seed runs twice, and as lines for
// people on request.
#pragma once

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/sim_clock.h"

namespace mtp::simulation {

class Trace {
 public:
  Trace(const testing::SimClock* clock, bool keep_lines) : clock_(clock), keep_lines_(keep_lines) {}

  template <typename... Parts>
  void Add(const Parts&... parts) {
    AddLine(absl::StrCat(absl::ToInt64Microseconds(clock_->Monotonic()), " ", parts...));
  }
  uint64_t hash() const { return hash_; }
  int64_t events() const { return events_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void AddLine(std::string line) {
    // FNV-1a, 64 bits.
    for (char c : line) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    ++events_;
    if (keep_lines_) lines_.push_back(std::move(line));
  }

  const testing::SimClock* const clock_;
  const bool keep_lines_;
  uint64_t hash_ = 0xcbf29ce484222325;
  int64_t events_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace mtp::simulation
