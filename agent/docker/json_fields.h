// Reading of untrusted JSON: what is missing or of another type reads as a default. For .cc files
// only, since the JSON library is slow to compile.
#pragma once

#include <absl/strings/str_cat.h>

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mtp::json_fields {

using Json = nlohmann::json;

// The value of `key`, or null.
inline const Json& Field(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

inline std::string String(const Json& object, const char* key) {
  const Json& value = Field(object, key);
  return value.is_string() ? value.get_ref<const std::string&>() : std::string();
}

inline int64_t Int(const Json& object, const char* key) {
  const Json& value = Field(object, key);
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    return static_cast<int64_t>(number < kMax ? number : kMax);
  }
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

// As Int, cut to what an int holds.
inline int SmallInt(const Json& object, const char* key) {
  const int64_t value = Int(object, key);
  if (value > std::numeric_limits<int>::max()) return std::numeric_limits<int>::max();
  if (value < std::numeric_limits<int>::min()) return std::numeric_limits<int>::min();
  return static_cast<int>(value);
}

inline bool Bool(const Json& object, const char* key) {
  const Json& value = Field(object, key);
  return value.is_boolean() && value.get<bool>();
}

// String values of an object; others are left out.
inline std::map<std::string, std::string> Strings(const Json& object, const char* key) {
  std::map<std::string, std::string> result;
  const Json& value = Field(object, key);
  if (!value.is_object()) return result;
  for (const auto& [name, text] : value.items()) {
    if (text.is_string()) result.emplace(name, text.get_ref<const std::string&>());
  }
  return result;
}

// Null unless the text is JSON.
inline Json Parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json() : json;
}

}  // namespace mtp::json_fields
