// JSON values as YAML 1.2 text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mtp::cli {

// Ends with a newline. Texts that YAML could take for something else are quoted, and control
// characters escaped.
std::string YamlText(const nlohmann::ordered_json& json);

}  // namespace mtp::cli
