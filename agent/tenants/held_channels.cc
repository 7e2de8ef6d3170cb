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
         absl::IsNotFound(status) || absl::IsCancelled(status);
}

}  // namespace

ChannelsLook StartHeldBackChannels(OpenClaw& openclaw, const ContainerProcess& process,
                                   const v1::TenantSecrets& secrets, const std::string& tenant,
                                   const Log& log) {
  const SecretString token(secrets.gateway_token());
  const auto call = [&](const char* method, const std::string& params) {
    return openclaw.Call(process, token, method, params, kGatewayTimeout, {});
  };
  const auto held_back = [&]() -> absl::StatusOr<std::vector<LostChannel>> {
    MTP_ASSIGN_OR_RETURN(const std::string answer, call("channels.status", "{}"));
    return HeldBackChannels(answer);
  };

  auto held = held_back();
  if (!held.ok()) return {.settled = !IsAway(held.status())};
  if (held->empty()) return {.settled = true};
  absl::Status refused;
  for (size_t i = 0; i < std::min(held->size(), kMostChannels); ++i) {
    const LostChannel& one = (*held)[i];
    log.Warning(absl::StrCat("tenant ", tenant, ": ", RedactSecrets(one.why, secrets),
                             "; it is started now"));
    refused.Update(
        call("channels.start", nlohmann::json{{"channel", one.channel}}.dump()).status());
  }
  held = held_back();
  if (!held.ok()) return {};
  if (held->empty()) return {.settled = true};
  const std::string why =
      absl::StrCat(held->front().why, refused.ok() ? "" : "; it cannot be started: ",
                   refused.ok() ? "" : std::string(refused.message()));
  return {.settled = false, .held_back = RedactSecrets(why, secrets)};
}

}  // namespace mtp
