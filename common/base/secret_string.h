// A secret that cannot be streamed, formatted, logged or compared by accident, and is wiped when it
// goes.
#pragma once

#include <absl/strings/string_view.h>

#include <string>

namespace mtp {

// Not thread-safe. Copies are explicit (Clone).
class SecretString {
 public:
  SecretString() = default;
  explicit SecretString(std::string value) : value_(std::move(value)) {}
  SecretString(SecretString&& other) noexcept;
  SecretString& operator=(SecretString&& other) noexcept;
  SecretString(const SecretString&) = delete;
  SecretString& operator=(const SecretString&) = delete;
  ~SecretString();

  SecretString Clone() const { return SecretString(value_); }
  bool empty() const { return value_.empty(); }
  size_t size() const { return value_.size(); }
  // The secret itself: for writing it to its place, and nothing else.
  absl::string_view Reveal() const { return value_; }
  // Compares in constant time.
  bool Equals(absl::string_view other) const;

 private:
  void Wipe();
  std::string value_;
};

// Overwrites the text's memory so that the compiler cannot leave it out.
void WipeString(std::string* text);

}  // namespace mtp
