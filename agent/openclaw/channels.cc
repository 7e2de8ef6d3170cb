#include "agent/openclaw/channels.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/docker/json_fields.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

namespace mtp {
namespace {

using json_fields::Bool;
using json_fields::Field;
using json_fields::Json;
using json_fields::String;

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

bool IsLost(const Json& account) {
  return IsInUse(account) && (IsFalse(account, "connected") || IsFalse(account, "running"));
}

bool IsHeldBack(const Json& account) {
  return IsInUse(account) && IsFalse(account, "running") && !Bool(account, "restartPending") &&
         Field(account, "lastStartAt").is_null() && Field(account, "lastStopAt").is_null() &&
         !String(account, "lastError").empty();
}

std::string Shown(const std::string& text, size_t max_bytes) {
  return ValidUtf8(OneLine(text, max_bytes), max_bytes);
}

// The channels with an account that `is` takes, and what is said of the first such account.
absl::StatusOr<std::vector<LostChannel>> ChannelsThat(absl::string_view channels_status,
                                                      bool (*is)(const Json& account),
                                                      absl::string_view said) {
  const Json answer = json_fields::Parse({channels_status.data(), channels_status.size()});
  const Json& channels = Field(answer, "channelAccounts");
  if (!channels.is_object())
    return absl::InternalError("the gateway's list of channels cannot be read");
  std::vector<LostChannel> all;
  for (const auto& [channel, accounts] : channels.items()) {
    if (!accounts.is_array()) continue;
    const auto found = std::find_if(accounts.begin(), accounts.end(), is);
    if (found == accounts.end()) continue;
    const std::string name = Shown(channel, kMaxChannelBytes);
    const std::string error = String(*found, "lastError");
    all.push_back({name, absl::StrCat(name, " ", said, error.empty() ? "" : ": ",
                                      Shown(error, kMaxErrorBytes))});
  }
  return all;
}

}  // namespace

absl::StatusOr<std::vector<LostChannel>> LostChannels(absl::string_view channels_status) {
  return ChannelsThat(channels_status, IsLost, "is not connected");
}

absl::StatusOr<std::vector<LostChannel>> HeldBackChannels(absl::string_view channels_status) {
  return ChannelsThat(channels_status, IsHeldBack, "was not started");
}

}  // namespace mtp
