#include "agent/compose/yaml_text.h"

namespace mtp {

absl::StatusOr<std::string> QuoteComposeText(absl::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return absl::InvalidArgumentError("a setting holds a control character");
    }
    if (c == '\\' || c == '"') quoted.push_back('\\');
    if (c == '$') quoted.push_back('$');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace mtp
