// Values of the API as JSON values and words.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>
#include <google/protobuf/map.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/timestamps.h"
#include "mtp/v1/host.pb.h"

namespace mtp::cli {

// `acme` of `tenants/acme`; a text without a slash as it is.
std::string ShortName(absl::string_view resource);

// RFC 3339 text, or null when it is not set.
nlohmann::ordered_json TimeJson(bool set, const google::protobuf::Timestamp& time);

// An object with sorted keys.
nlohmann::ordered_json LabelsJson(const google::protobuf::Map<std::string, std::string>& labels);

// `a=1,b=2`, sorted.
std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels);

// `code` and `message` of a failure; null for what has none.
template <typename Work>
nlohmann::ordered_json ErrorJson(const Work& work) {
  if (!work.has_error()) return nullptr;
  return {{"code", work.error().code()}, {"message", work.error().message()}};
}

// From the creation of an operation or a rollout to its end, or to `now` while it goes on.
template <typename Work>
absl::Duration TimeTaken(const Work& work, absl::Time now) {
  if (!work.has_create_time()) return absl::ZeroDuration();
  return (work.has_end_time() ? FromTimestamp(work.end_time()) : now) -
         FromTimestamp(work.create_time());
}

// Whole seconds from `start` to `now`; 0 when it is not set.
int64_t UptimeSeconds(bool set, const google::protobuf::Timestamp& start, absl::Time now);

// State of a host's admin instance in a tenant's words: `running`, `stopped`, or `unknown` while
// the host is not heard.
absl::string_view AdminState(const v1::Host& host);

// Its health, likewise: what was last heard of a host that is silent now is not known to hold.
std::string AdminHealth(const v1::Host& host);

}  // namespace mtp::cli
