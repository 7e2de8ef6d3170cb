#include "cli/output/yaml.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

// A JSON scalar, quoted text included, is a YAML scalar: YAML 1.2 is a superset of JSON.
std::string Scalar(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Our own field names need no quotes; a label's key might be `no` or hold anything.
std::string Key(const std::string& key) {
  static const absl::flat_hash_set<std::string> kTakenWords = {"y",   "n",    "yes",   "no",  "on",
                                                               "off", "true", "false", "null"};
  const bool plain = !key.empty() && absl::ascii_islower(key[0]) &&
                     key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == key.npos;
  return plain && !kTakenWords.contains(key) ? key : Scalar(key);
}

bool IsBlock(const Json& json) { return json.is_structured() && !json.empty(); }

void Write(const Json& json, const std::string& indent, std::string* text);

void WriteValue(const Json& value, const std::string& indent, std::string* text) {
  if (!IsBlock(value)) {
    absl::StrAppend(text, " ", Scalar(value), "\n");
  } else {
    text->push_back('\n');
    Write(value, indent, text);
  }
}

void Write(const Json& json, const std::string& indent, std::string* text) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) {
      absl::StrAppend(text, indent, Key(key), ":");
      WriteValue(value, indent + "  ", text);
    }
    return;
  }
  for (const Json& element : json) {
    if (!IsBlock(element)) {
      absl::StrAppend(text, indent, "- ", Scalar(element), "\n");
      continue;
    }
    // The element's first line stands behind the dash.
    std::string block;
    Write(element, indent + "  ", &block);
    absl::StrAppend(text, indent, "- ", block.substr(indent.size() + 2));
  }
}

}  // namespace

std::string YamlText(const Json& json) {
  if (!IsBlock(json)) return Scalar(json) + "\n";
  std::string text;
  Write(json, "", &text);
  return text;
}

}  // namespace mtp::cli
