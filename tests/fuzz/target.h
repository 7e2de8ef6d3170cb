// Fuzz targets: functions that take any bytes and hold a parser to what its header promises. One
// program runs them under libFuzzer (libfuzzer.cc), and a unit test replays the inputs that
// are kept in corpus/ (replay_test.cc). targets.cc lists them, and what has none.
//
// An input should be text that people can read and write: Input takes it apart line by line.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace mtp::fuzz {

struct Target {
  const char* name;  // also of its folder in corpus/
  // Throws BrokenPromise. Whatever it makes it takes away again; it may keep what the next call
  // reuses. One call at a time.
  void (*run)(absl::string_view input);
  size_t max_bytes;  // No longer input is worth its time.
};

const std::vector<Target>& Targets();
// Null when there is none of that name.
const Target* FindTarget(absl::string_view name);

// What the code under test does not hold.
class BrokenPromise : public std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void Broken(const char* promise, const char* file, int line);

// Whether the result is this value.
template <typename Value>
bool Gives(const absl::StatusOr<Value>& result, const Value& value) {
  return result.ok() && *result == value;
}

}  // namespace mtp::fuzz

// Throws BrokenPromise, which names the place, unless the promise holds.
#define MTP_HOLDS(...)                                                         \
  do {                                                                         \
    if (!(__VA_ARGS__)) ::mtp::fuzz::Broken(#__VA_ARGS__, __FILE__, __LINE__); \
  } while (false)
