// Arguments as typed by people, made into what the API takes. All errors are INVALID_ARGUMENT.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>
#include <google/protobuf/map.h>

#include <string>
#include <vector>

#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// `acme` -> `tenants/acme`; `admins/h1` stays.
absl::StatusOr<std::string> ParseTarget(absl::string_view text);

// `acme` -> `tenants/acme`.
absl::StatusOr<std::string> ParseTenant(absl::string_view text);

// `h1` -> `hosts/h1`.
absl::StatusOr<std::string> ParseHost(absl::string_view text);

// A ULID, or `operations/<ULID>` -> `operations/<ULID>`.
absl::StatusOr<std::string> ParseOperation(absl::string_view text);

// `90s`, `15m`, `1h30m`; a bare number is seconds. More than nothing.
absl::StatusOr<absl::Duration> ParseWait(absl::string_view text, absl::string_view flag);

// The same; `0` or `0s` is nothing at all.
absl::StatusOr<absl::Duration> ParseWaitOrNone(absl::string_view text, absl::string_view flag);

// `stay`, `failover`; empty is unspecified.
absl::StatusOr<v1::FailoverPolicy> ParseFailover(absl::string_view text);

// `K=V` each, keys unique.
absl::Status ParseLabels(const std::vector<std::string>& texts, absl::string_view flag,
                         google::protobuf::Map<std::string, std::string>* labels);

}  // namespace mtp::cli
