#include "common/base/environment.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxVariables = 32;
constexpr size_t kMaxName = 64;
constexpr size_t kMaxValue = 1024;

// Each has its own way in, or is what the container needs to run at all.
constexpr absl::string_view kReserved[] = {
    "ANTHROPIC_API_KEY",      "ANTHROPIC_BASE_URL", "HOME",
    "NODE_OPTIONS",           "NODE_PATH",          "OPENAI_API_KEY",
    "OPENCLAW_GATEWAY_TOKEN", "OPENROUTER_API_KEY", "PATH",
    "TELEGRAM_API_ROOT",      "TELEGRAM_BOT_TOKEN", "XDG_CACHE_HOME"};

absl::Status CheckName(absl::string_view name) {
  const bool valid = !name.empty() && name.size() <= kMaxName &&
                     !absl::ascii_isdigit(static_cast<unsigned char>(name.front())) &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
                     });
  if (!valid) {
    return absl::InvalidArgumentError(
        "environment: names are 1 to 64 letters, digits and underscores, and begin with no digit");
  }
  const bool reserved =
      absl::StartsWith(name, "LD_") ||
      std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
  if (!reserved) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "environment: ", name, " is set by the system itself; secrets have flags of their own"));
}

}  // namespace

absl::Status CheckEnvironment(const google::protobuf::Map<std::string, std::string>& variables) {
  if (variables.size() > kMaxVariables) {
    return absl::InvalidArgumentError(
        absl::StrCat("environment: at most ", kMaxVariables, " variables"));
  }
  for (const auto& [name, value] : variables) {
    MTP_RETURN_IF_ERROR(CheckName(name));
    const bool printable = std::all_of(value.begin(), value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte >= 0x20 && byte != 0x7f;
    });
    if (printable && value.size() <= kMaxValue) continue;
    return absl::InvalidArgumentError(absl::StrCat("environment: the value of ", name,
                                                   " must be one line of at most ", kMaxValue,
                                                   " printable characters"));
  }
  return absl::OkStatus();
}

bool SameEnvironment(const google::protobuf::Map<std::string, std::string>& a,
                     const google::protobuf::Map<std::string, std::string>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& one) {
           const auto found = b.find(one.first);
           return found != b.end() && found->second == one.second;
         });
}

}  // namespace mtp
