#include "agent/compose/config_template.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <vector>

namespace mtp {
namespace {

struct Block {
  int line;
  // Whether its content is kept; also needs every block around it to be kept.
  bool kept;
};

absl::Status BadLine(int line, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("config/tenant-template.json5, line ", line, ": ", why));
}

bool IsKnownCondition(absl::string_view name) {
  return name == "telegram" || name == "telegram_api" || name == "anthropic" ||
         name == "anthropic_api" || name == "openai" || name == "openrouter";
}

}  // namespace

std::set<std::string> TemplateConditions(const v1::TenantSpec& spec,
                                         const v1::TenantSecrets& secrets) {
  std::set<std::string> conditions;
  if (!secrets.telegram_token().empty()) conditions.insert("telegram");
  if (!secrets.anthropic_key().empty()) conditions.insert("anthropic");
  if (!secrets.openai_key().empty()) conditions.insert("openai");
  if (!secrets.openrouter_key().empty()) conditions.insert("openrouter");
  if (!spec.telegram_api_root().empty()) conditions.insert("telegram_api");
  if (!spec.anthropic_api_root().empty()) conditions.insert("anthropic_api");
  return conditions;
}

absl::StatusOr<std::string> RenderConfig(absl::string_view text,
                                         const std::set<std::string>& conditions) {
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  // The empty piece after the last line break is no line.
  if (!lines.empty() && lines.back().empty()) lines.pop_back();

  std::string out;
  std::vector<Block> blocks;
  int number = 0;
  for (absl::string_view line : lines) {
    ++number;
    const bool kept = blocks.empty() || blocks.back().kept;
    absl::string_view marker = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&marker, "// mtp:")) {
      if (kept) absl::StrAppend(&out, line, "\n");
      continue;
    }
    if (marker == "end") {
      if (blocks.empty()) return BadLine(number, "mtp:end without an mtp:if before it");
      blocks.pop_back();
    } else if (absl::ConsumePrefix(&marker, "if ")) {
      marker = absl::StripAsciiWhitespace(marker);
      if (!IsKnownCondition(marker)) {
        return BadLine(number, absl::StrCat("\"", marker,
                                            "\" is not a condition. There are telegram, "
                                            "telegram_api, anthropic, anthropic_api, openai and "
                                            "openrouter"));
      }
      blocks.push_back({number, kept && conditions.count(std::string(marker)) > 0});
    } else {
      return BadLine(number, "after \"mtp:\" only \"if NAME\" and \"end\" are known");
    }
  }
  if (!blocks.empty()) return BadLine(blocks.back().line, "mtp:if without an mtp:end after it");
  return out;
}

}  // namespace mtp
