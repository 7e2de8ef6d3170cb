// Text from tenants, programs and other systems on its way to people.
#include "cli/output/text.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/tenants/crash_history.h"
#include "agent/tenants/redaction.h"
#include "cli/output/yaml.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tenant_input.h"

namespace mtp::fuzz {
namespace {

using nlohmann::ordered_json;

constexpr int kLines = 4;
constexpr size_t kBytes = 80;
constexpr size_t kShortestSecret = 6;

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

// A judge of its own: the JSON library refuses to print anything else.
bool IsUtf8(const std::string& text) {
  try {
    (void)ordered_json(text).dump();
    return true;
  } catch (const ordered_json::exception&) {
    return false;
  }
}

// Those that redaction promises to find: long enough, and no part of its own mark.
std::vector<std::string> Hidden(const v1::TenantSecrets& secrets) {
  std::vector<std::string> hidden;
  const std::string& token = secrets.telegram_token();
  const size_t colon = token.find(':');
  for (const std::string& secret :
       {token, colon == std::string::npos ? std::string() : token.substr(colon + 1),
        secrets.anthropic_key(), secrets.openai_key(), secrets.openrouter_key()}) {
    if (secret.size() >= kShortestSecret && secret.find_first_of("[]") == std::string::npos &&
        !absl::StrContains("redacted", secret)) {
      hidden.push_back(secret);
    }
  }
  return hidden;
}

void CheckHidden(const std::string& shown, const std::vector<std::string>& hidden) {
  for (const std::string& secret : hidden) MTP_HOLDS(!absl::StrContains(shown, secret));
}

int DepthOf(absl::string_view text) {
  int depth = 0;
  int deepest = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return deepest;
}

bool AreEqual(const ordered_json& json, const YAML::Node& yaml) {
  if (json.is_object()) {
    if (!yaml.IsMap() || yaml.size() != json.size()) return false;
    auto row = yaml.begin();
    return std::all_of(json.items().begin(), json.items().end(), [&row](const auto& item) {
      const bool equal =
          row->first.as<std::string>() == item.key() && AreEqual(item.value(), row->second);
      ++row;
      return equal;
    });
  }
  if (json.is_array()) {
    if (!yaml.IsSequence() || yaml.size() != json.size()) return false;
    return std::equal(json.begin(), json.end(), yaml.begin(),
                      [](const auto& a, const auto& b) { return AreEqual(a, b); });
  }
  if (json.is_string()) return yaml.Scalar() == json.get<std::string>() && yaml.Tag() == "!";
  if (json.is_null()) return yaml.IsNull();
  return yaml.Scalar() == json.dump() && yaml.Tag() != "!";
}

}  // namespace

// Four secrets, a line each, and a container's output.
void Redaction(absl::string_view input) {
  Input lines(input);
  v1::TenantSecrets secrets = ReadSecrets(&lines);
  const std::vector<std::string> hidden = Hidden(secrets);
  const std::string output(lines.Rest());
  // Wherever a secret stands in the output, also at its ends and beside another one.
  std::string with_secrets = output;
  for (const std::string& secret : hidden) absl::StrAppend(&with_secrets, secret, output, secret);
  for (const std::string& text : {output, with_secrets}) {
    CheckHidden(RedactSecrets(text, secrets), hidden);
    for (const std::string& line : LastLineList(text, secrets, kLines, kBytes)) {
      CheckHidden(line, hidden);
      MTP_HOLDS(!HasControl(line) && !line.empty() && line.size() <= kBytes && IsUtf8(line));
    }
    MTP_HOLDS(LastLineList(text, secrets, kLines, kBytes).size() <= kLines);
    const std::string last = LastLines(text, secrets, kLines, kBytes);
    CheckHidden(last, hidden);
    MTP_HOLDS(!HasControl(last) && IsUtf8(last));
    MTP_HOLDS(last.size() <= kBytes + sizeof("…") - 1);
  }
}

// What is printed on terminals and written to logs.
void ShownText(absl::string_view input) {
  const std::string text(input);
  const std::string valid = ValidUtf8(text, text.size());
  MTP_HOLDS(IsUtf8(valid) && valid.size() <= text.size());
  MTP_HOLDS((valid == text) == IsUtf8(text));
  const std::string cut = ValidUtf8(text, text.size() / 2);
  MTP_HOLDS(IsUtf8(cut) && cut.size() <= text.size() / 2 && absl::StartsWith(valid, cut));

  MTP_HOLDS(!HasControl(OneLine(text, text.size() / 2)));

  const std::string visible = cli::Visible(text);
  MTP_HOLDS(IsUtf8(visible) && !HasControl(visible));
  MTP_HOLDS(cli::Visible(visible) == visible);
  MTP_HOLDS(cli::VisibleLines(cli::VisibleLines(text)) == cli::VisibleLines(text));
  // C1 controls, and what turns the direction of writing.
  for (const char* steering : {"\xc2\x80", "\xc2\x9b", "\xc2\x9f", "\u200e", "\u200f", "\u2028",
                               "\u202a", "\u202e", "\u2066", "\u2069"}) {
    MTP_HOLDS(!absl::StrContains(visible, steering));
  }
  for (const int width : {0, 1, 7, 40}) {
    const std::string shortened = cli::Shorten(visible, width);
    MTP_HOLDS(cli::Width(shortened) <= width && IsUtf8(shortened));
  }
}

// The text is JSON.
void YamlOutput(absl::string_view input) {
  if (DepthOf(input) > 32) return;
  const ordered_json json =
      ordered_json::parse(input.begin(), input.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return;
  MTP_HOLDS(AreEqual(json, YAML::Load(cli::YamlText(json))));
}

// The text is a journaled history.
void CrashHistories(absl::string_view input) {
  const CrashHistory history = CrashHistory::FromText(input);
  const std::string text = history.ToText();
  MTP_HOLDS(!absl::StrContains(text, '\n') || absl::StrContains(input, '\n'));
  MTP_HOLDS(CrashHistory::FromText(text).ToText() == text);
  history.IsCrashLoop(absl::UnixEpoch());
}

}  // namespace mtp::fuzz
