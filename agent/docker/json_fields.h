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

// Copying and printing a value recurse, so nesting is bounded before anything is parsed.
inline constexpr int kMaxNesting = 128;

inline bool IsNestedTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Null unless the text is JSON of bounded nesting.
inline Json Parse(std::string_view text) {
  if (IsNestedTooDeep(text)) return Json();
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Json();
  return json;
}

}  // namespace mtp::json_fields
