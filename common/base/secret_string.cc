#include "common/base/secret_string.h"

#include <sodium.h>

namespace mtp {

void WipeString(std::string* text) {
  // Up to the capacity: a string that has shrunk still holds its former end there.
  text->resize(text->capacity());
  sodium_memzero(text->data(), text->size());
  text->clear();
}

SecretString::SecretString(SecretString&& other) noexcept { *this = std::move(other); }

SecretString& SecretString::operator=(SecretString&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  // Copied and wiped, not moved: a short string lives inside the object, and a move would leave it
  // there.
  value_ = other.value_;
  other.Wipe();
  return *this;
}

SecretString::~SecretString() { Wipe(); }

bool SecretString::Equals(absl::string_view other) const {
  return value_.size() == other.size() &&
         sodium_memcmp(value_.data(), other.data(), value_.size()) == 0;
}

void SecretString::Wipe() { WipeString(&value_); }

}  // namespace mtp
