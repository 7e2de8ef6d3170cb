// Reading of JSON5 (https://spec.json5.org), as far as configurations use it: comments, unquoted
// keys, single quotes, trailing commas, hexadecimal numbers are left out.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace openclaw_double {

// Throws Json5Error with line and column. Of a key that stands twice the last value counts.
nlohmann::json ParseJson5(std::string_view text);

class Json5Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace openclaw_double
