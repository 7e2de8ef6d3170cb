#include "agent/openclaw/channels.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/docker/json_fields.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

namespace mtp {
namespace {

using json_fields::Field;
using json_fields::Json;

constexpr size_t kMaxChannelBytes = 40;
constexpr size_t kMaxErrorBytes = 200;

bool IsFalse(const Json& object, const char* key) {
  const Json& value = Field(object, key);
  return value.is_boolean() && !value.get<bool>();
}

// Of one that is not linked with its account yet OpenClaw expects nothing either.
bool IsInUse(const Json& account) {
  return !IsFalse(account, "enabled") && !IsFalse(account, "configured") &&
         !IsFalse(account, "linked");
}

bool IsLost(const Json& account) { return IsInUse(account) && IsFalse(account, "connected"); }

std::string Shown(const std::string& text, size_t max_bytes) {
  return ValidUtf8(OneLine(text, max_bytes), max_bytes);
}

}  // namespace

absl::StatusOr<std::vector<LostChannel>> LostChannels(absl::string_view channels_status) {
  const Json answer = json_fields::Parse({channels_status.data(), channels_status.size()});
  const Json& channels = Field(answer, "channelAccounts");
  if (!channels.is_object())
    return absl::InternalError("the gateway's list of channels cannot be read");
  std::vector<LostChannel> all;
  for (const auto& [channel, accounts] : channels.items()) {
    if (!accounts.is_array()) continue;
    const auto lost = std::find_if(accounts.begin(), accounts.end(), IsLost);
    if (lost == accounts.end()) continue;
    const std::string name = Shown(channel, kMaxChannelBytes);
    const std::string error = json_fields::String(*lost, "lastError");
    all.push_back({name, absl::StrCat(name, " is not connected", error.empty() ? "" : ": ",
                                      Shown(error, kMaxErrorBytes))});
  }
  return all;
}

}  // namespace mtp
