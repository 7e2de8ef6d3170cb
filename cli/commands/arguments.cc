#include "cli/commands/arguments.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/ulid.h"

namespace mtp::cli {

absl::StatusOr<std::string> ParseTenant(absl::string_view text) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(text));
  return name.Resource();
}

absl::StatusOr<std::string> ParseHost(absl::string_view text) {
  MTP_ASSIGN_OR_RETURN(const HostName name, HostName::Parse(text));
  return name.Resource();
}

absl::StatusOr<std::string> ParseTarget(absl::string_view text) {
  absl::string_view host = text;
  if (!absl::ConsumePrefix(&host, "admins/")) return ParseTenant(text);
  MTP_ASSIGN_OR_RETURN(const HostName name, HostName::Parse(host));
  return absl::StrCat("admins/", name.value());
}

absl::StatusOr<std::string> ParseOperation(absl::string_view text) {
  absl::ConsumePrefix(&text, "operations/");
  const std::string id = absl::AsciiStrToUpper(text);
  if (!IsUlid(id)) {
    return absl::InvalidArgumentError(
        "an operation is named by the 26 characters that `mtp-cli op list` shows");
  }
  return absl::StrCat("operations/", id);
}

absl::StatusOr<absl::Duration> ParseWait(absl::string_view text, absl::string_view flag) {
  absl::Duration duration;
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(std::string(text), &duration)) {
    duration = absl::ZeroDuration();
  }
  if (duration <= absl::ZeroDuration() || duration > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " takes a time such as 90s, 15m or 1h30m"));
  }
  return duration;
}

absl::StatusOr<absl::Duration> ParseWaitOrNone(absl::string_view text, absl::string_view flag) {
  if (text == "0" || text == "0s") return absl::ZeroDuration();
  return ParseWait(text, flag);
}

absl::StatusOr<v1::FailoverPolicy> ParseFailover(absl::string_view text) {
  if (text.empty()) return v1::FAILOVER_POLICY_UNSPECIFIED;
  if (text == "stay") return v1::FAILOVER_POLICY_STAY;
  if (text == "failover") return v1::FAILOVER_POLICY_FAILOVER;
  return absl::InvalidArgumentError("--failover: stay or failover");
}

absl::Status ParseLabels(const std::vector<std::string>& texts, absl::string_view flag,
                         google::protobuf::Map<std::string, std::string>* labels) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " takes KEY=VALUE"));
    }
    const std::string key = text.substr(0, equals);
    if (labels->contains(key)) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " gives the key ", key, " twice"));
    }
    (*labels)[key] = text.substr(equals + 1);
  }
  return absl::OkStatus();
}

}  // namespace mtp::cli
