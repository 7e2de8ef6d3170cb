#include "agent/tenants/held_channels.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "agent/openclaw/channels.h"
#include "agent/tenants/redaction.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMostChannels = 8;

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsNotFound(status);
}

}  // namespace

absl::StatusOr<std::string> StartHeldBackChannels(OpenClaw& openclaw,
                                                  const ContainerProcess& process,
                                                  const v1::TenantSecrets& secrets,
                                                  const std::string& tenant, const Log& log) {
  const SecretString token(secrets.gateway_token());
  const auto call = [&](const char* method, const std::string& params) {
    return openclaw.Call(process, token, method, params, kGatewayTimeout, {});
  };
  // None of an OpenClaw that knows no such question.
  const auto held_back = [&]() -> absl::StatusOr<std::vector<LostChannel>> {
    const auto answer = call("channels.status", "{}");
    if (IsAway(answer.status())) return answer.status();
    const auto held = answer.ok() ? HeldBackChannels(*answer) : answer.status();
    return held.ok() ? *held : std::vector<LostChannel>();
  };

  MTP_ASSIGN_OR_RETURN(std::vector<LostChannel> held, held_back());
  if (held.empty()) return "";
  absl::Status refused;
  for (size_t i = 0; i < std::min(held.size(), kMostChannels); ++i) {
    log.Warning(absl::StrCat("tenant ", tenant, ": ", RedactSecrets(held[i].why, secrets),
                             "; it is started now"));
    refused.Update(
        call("channels.start", nlohmann::json{{"channel", held[i].channel}}.dump()).status());
  }
  MTP_ASSIGN_OR_RETURN(held, held_back());
  if (held.empty()) return "";
  std::string why = held.front().why;
  if (!refused.ok()) absl::StrAppend(&why, "; it cannot be started: ", refused.message());
  return RedactSecrets(why, secrets);
}

}  // namespace mtp
