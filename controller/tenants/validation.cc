#include "controller/tenants/validation.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "common/base/environment.h"
#include "common/base/image_reference.h"
#include "common/base/names.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr int64_t kMinReservationMib = 16;
constexpr int64_t kMaxMemoryMib = 1 << 20;
// The real OpenClaw measures 1.2-1.3 GiB after two turns.
constexpr int64_t kDefaultLimitMib = 2048;
constexpr int kMaxLabels = 32;
constexpr size_t kMaxLabelKey = 63;
constexpr size_t kMaxLabelValue = 255;
constexpr size_t kMaxSecretBytes = 4096;
constexpr size_t kMaxUrlBytes = 512;
// Leaves room for the digest that an update adds.
constexpr size_t kMaxImageBytes = 255;

absl::Status CheckImage(const std::string& image) {
  if (image.empty()) return absl::OkStatus();
  if (image.size() > kMaxImageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("image: at most ", kMaxImageBytes, " characters"));
  }
  return CheckImageReference(image);
}

bool IsPrintable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
  });
}

template <typename Labels>
absl::Status CheckLabels(absl::string_view field, const Labels& labels) {
  if (labels.size() > kMaxLabels) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": at most ", kMaxLabels, " labels"));
  }
  for (const auto& [key, value] : labels) {
    const bool valid_key = !key.empty() && key.size() <= kMaxLabelKey &&
                           std::all_of(key.begin(), key.end(), [](char c) {
                             return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                                    c == '-' || c == '_' || c == '.' || c == '/';
                           });
    if (!valid_key || value.size() > kMaxLabelValue || !IsPrintable(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat(field,
                       ": keys are 1 to 63 letters, digits, '-', '_', '.', '/'; values at most 255 "
                       "printable characters"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckUrl(absl::string_view field, absl::string_view url) {
  if (url.empty()) return absl::OkStatus();
  const bool valid = (absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://")) &&
                     url.size() <= kMaxUrlBytes && std::all_of(url.begin(), url.end(), [](char c) {
                       return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '"' &&
                              c != '\'' && c != '\\' && c != '$';
                     });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must be a URL that begins with http:// or https://"));
}

absl::Status CheckKey(absl::string_view field, absl::string_view key) {
  if (key.size() <= kMaxSecretBytes && IsPrintable(key)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": must be one line of at most ",
                                                 kMaxSecretBytes, " printable characters"));
}

}  // namespace

absl::Status CheckSpec(const v1::TenantSpec& spec) {
  const int64_t reservation_mib = spec.memory_reservation_mib();
  if (reservation_mib != 0 &&
      (reservation_mib < kMinReservationMib || reservation_mib > kMaxMemoryMib)) {
    return absl::InvalidArgumentError(absl::StrCat("memory reservation: must be ",
                                                   kMinReservationMib, " to ", kMaxMemoryMib,
                                                   " MiB, not ", reservation_mib));
  }
  const int64_t limit_mib = spec.memory_limit_mib();
  if (limit_mib != 0 &&
      (limit_mib < std::max(reservation_mib, kMinReservationMib) || limit_mib > kMaxMemoryMib)) {
    return absl::InvalidArgumentError(
        absl::StrCat("memory limit: must be at least the reservation and at most ", kMaxMemoryMib,
                     " MiB, not ", limit_mib));
  }
  MTP_RETURN_IF_ERROR(CheckLabels("labels", spec.labels()));
  MTP_RETURN_IF_ERROR(CheckLabels("host labels", spec.host_labels()));
  MTP_RETURN_IF_ERROR(CheckEnvironment(spec.environment()));
  if (!spec.host().empty()) MTP_RETURN_IF_ERROR(HostName::Parse(spec.host()).status());
  if (!spec.anti_affinity_label().empty() && spec.labels().count(spec.anti_affinity_label()) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("anti-affinity: the tenant has no label ",
                     spec.anti_affinity_label().substr(0, kMaxLabelKey)));
  }
  MTP_RETURN_IF_ERROR(CheckImage(spec.image()));
  MTP_RETURN_IF_ERROR(CheckUrl("Telegram API", spec.telegram_api_root()));
  return CheckUrl("Anthropic API", spec.anthropic_api_root());
}

absl::Status CheckAllowedEnvironment(const v1::TenantSpec& spec, const v1::TenantSpec& before,
                                     const std::vector<std::string>& allowed) {
  for (const auto& [name, value] : spec.environment()) {
    if (before.environment().count(name) > 0) continue;
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("environment: this fleet does not allow ", name, "; it allows ",
                     allowed.empty() ? "none" : absl::StrJoin(allowed, ", "),
                     " (`tenant_environment` in controller.yaml)"));
  }
  return absl::OkStatus();
}

absl::Status CheckLimit(const v1::TenantSpec& resolved, int64_t min_limit_mib) {
  const int64_t limit_mib = resolved.memory_limit_mib();
  if (limit_mib < min_limit_mib) {
    return absl::InvalidArgumentError(absl::StrCat(
        "memory limit: OpenClaw cannot live with ", limit_mib,
        " MiB: its start was measured to need up to 780 MiB, and with 512 MiB the kernel kills it "
        "within 20 s every time. Give at least ",
        min_limit_mib, " MiB"));
  }
  if (limit_mib >= resolved.memory_reservation_mib()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("memory limit: ", limit_mib, " MiB is less than the reservation of ",
                   resolved.memory_reservation_mib(), " MiB; lower the reservation too"));
}

absl::Status CheckSecrets(const v1::TenantSecrets& secrets, bool required) {
  const std::string& token = secrets.telegram_token();
  if (token.empty() && required) return absl::InvalidArgumentError("Telegram token: is missing");
  if (!token.empty()) {
    const size_t colon = token.find(':');
    const bool valid =
        colon != std::string::npos && colon > 0 && colon <= 20 && colon + 1 < token.size() &&
        token.size() <= colon + 257 && IsPrintable(token) &&
        std::all_of(token.begin(), token.begin() + static_cast<int64_t>(colon),
                    [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
    if (!valid) {
      return absl::InvalidArgumentError(
          "Telegram token: does not look like one; BotFather's tokens are digits, a colon, and a "
          "secret");
    }
  }
  MTP_RETURN_IF_ERROR(CheckKey("Anthropic key", secrets.anthropic_key()));
  MTP_RETURN_IF_ERROR(CheckKey("OpenAI key", secrets.openai_key()));
  return CheckKey("OpenRouter key", secrets.openrouter_key());
}

absl::Status CheckRequestId(const std::string& request_id) {
  const bool valid =
      request_id.size() <= 128 && std::all_of(request_id.begin(), request_id.end(), [](char c) {
        return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '/';
      });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "request id: at most 128 printable characters without spaces and slashes");
}

v1::TenantSpec Resolve(const v1::TenantSpec& spec, int64_t default_reservation_mib,
                       const std::string& default_image) {
  v1::TenantSpec resolved = spec;
  if (resolved.memory_reservation_mib() == 0)
    resolved.set_memory_reservation_mib(default_reservation_mib);
  if (resolved.memory_limit_mib() == 0) {
    resolved.set_memory_limit_mib(std::max(kDefaultLimitMib, resolved.memory_reservation_mib()));
  }
  if (resolved.image().empty()) resolved.set_image(default_image);
  if (resolved.run_policy() == v1::RUN_POLICY_UNSPECIFIED)
    resolved.set_run_policy(v1::RUN_POLICY_RUN);
  return resolved;
}

}  // namespace mtp
