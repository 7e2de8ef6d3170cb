#include "json5.h"

#include <cctype>
#include <cstdlib>

namespace openclaw_double {
namespace {

using Json = nlohmann::json;

// Deeper nesting is refused, so that no input can exhaust the stack.
constexpr int kMaxDepth = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json Document() {
    Json value = Value(0);
    SkipBlank();
    if (at_ < text_.size()) Fail("invalid character");
    return value;
  }

 private:
  [[noreturn]] void Fail(std::string_view what) const {
    int line = 1;
    int column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n';
    }
    throw Json5Error("JSON5: " + std::string(at_ >= text_.size() ? "invalid end of input" : what) +
                     " at " + std::to_string(line) + ":" + std::to_string(column));
  }

  void SkipBlank() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_, 2) == "/*") {
        const size_t end = text_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else {
        return;
      }
    }
  }

  char Peek() {
    SkipBlank();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void Expect(char wanted) {
    if (Peek() != wanted) Fail("invalid character");
    ++at_;
  }

  bool Take(char wanted) {
    if (Peek() != wanted) return false;
    ++at_;
    return true;
  }

  Json Value(int depth) {
    if (depth > kMaxDepth) Fail("nested too deeply");
    switch (Peek()) {
      case '{':
        return Object(depth);
      case '[':
        return Array(depth);
      case '"':
      case '\'':
        return String();
      default:
        return Scalar();
    }
  }

  Json Object(int depth) {
    Json object = Json::object();
    Expect('{');
    while (!Take('}')) {
      const std::string key = Peek() == '"' || Peek() == '\'' ? String() : Word();
      Expect(':');
      object[key] = Value(depth + 1);
      if (!Take(',') && Peek() != '}') Fail("invalid character");
    }
    return object;
  }

  Json Array(int depth) {
    Json array = Json::array();
    Expect('[');
    while (!Take(']')) {
      array.push_back(Value(depth + 1));
      if (!Take(',') && Peek() != ']') Fail("invalid character");
    }
    return array;
  }

  std::string Word() {
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
            std::string_view("_$+-.").find(text_[at_]) != std::string_view::npos)) {
      ++at_;
    }
    if (start == at_) Fail("invalid character");
    return std::string(text_.substr(start, at_ - start));
  }

  Json Scalar() {
    const size_t start = at_;
    const std::string word = Word();
    if (word == "true" || word == "false") return word == "true";
    if (word == "null") return nullptr;
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (*end != '\0') {
      at_ = start;
      Fail("invalid character");
    }
    const auto whole = static_cast<int64_t>(number);
    if (static_cast<double>(whole) == number) return whole;
    return number;
  }

  std::string String() {
    const char quote = text_[at_++];
    // JSON's own parser knows the escapes; what JSON5 adds is rewritten for it.
    std::string json = "\"";
    while (true) {
      if (at_ >= text_.size() || text_[at_] == '\n') Fail("invalid character");
      const char c = text_[at_++];
      if (c == quote) break;
      if (c == '\\' && at_ < text_.size()) {
        const char escaped = text_[at_++];
        if (escaped == '\n') continue;
        if (escaped != '\'') json += '\\';
        json += escaped;
      } else {
        if (c == '"') json += '\\';
        json += c;
      }
    }
    Json value = Json::parse(json + "\"", nullptr, false);
    if (!value.is_string()) Fail("invalid escape");
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

nlohmann::json ParseJson5(std::string_view text) { return Parser(text).Document(); }

}  // namespace openclaw_double
