#include "controller/rollouts/request.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/durations.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

constexpr size_t kMaxTenants = 1000;
constexpr int kMaxCount = 1000;
constexpr absl::Duration kDefaultSoak = absl::Seconds(60);
constexpr absl::Duration kMaxSoak = absl::Hours(24);
constexpr absl::Duration kDefaultIdleWait = absl::Minutes(5);
constexpr absl::Duration kMaxIdleWait = absl::Minutes(30);

absl::Status CompleteCount(absl::string_view field, google::protobuf::int32 count,
                           void (v1::RolloutSettings::*set)(google::protobuf::int32),
                           v1::RolloutSettings& settings) {
  if (count < 0 || count > kMaxCount) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": must be 1 to ", kMaxCount, ", not ", count));
  }
  (settings.*set)(std::max(count, 1));
  return absl::OkStatus();
}

// `given` is null when the request is silent.
absl::StatusOr<google::protobuf::Duration> CompleteTime(absl::string_view field,
                                                        const google::protobuf::Duration* given,
                                                        absl::Duration otherwise,
                                                        absl::Duration longest) {
  if (given == nullptr) return ToDuration(otherwise);
  const absl::Duration asked = FromDuration(*given);
  if (given->nanos() >= 0 && given->nanos() < 1'000'000'000 && asked >= absl::ZeroDuration() &&
      asked <= longest) {
    return *given;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must not be negative, and at most ", absl::FormatDuration(longest)));
}

}  // namespace

absl::Status NoSuchTenant(const std::string& tenant) {
  return absl::NotFoundError(
      absl::StrCat("there is no tenant \"", tenant, "\"; `mtp-cli status` lists all"));
}

absl::StatusOr<v1::RolloutSettings> CompleteSettings(v1::RolloutSettings settings,
                                                     const Repositories& repositories) {
  v1::TenantSpec spec;
  spec.set_image(settings.image());
  MTP_RETURN_IF_ERROR(CheckSpec(spec));
  MTP_RETURN_IF_ERROR(
      CompleteCount("canary", settings.canary(), &v1::RolloutSettings::set_canary, settings));
  MTP_RETURN_IF_ERROR(CompleteCount("max unavailable", settings.max_unavailable(),
                                    &v1::RolloutSettings::set_max_unavailable, settings));
  MTP_ASSIGN_OR_RETURN(auto soak,
                       CompleteTime("soak", settings.has_soak() ? &settings.soak() : nullptr,
                                    kDefaultSoak, kMaxSoak));
  MTP_ASSIGN_OR_RETURN(
      auto idle_wait,
      CompleteTime("idle wait", settings.has_idle_wait() ? &settings.idle_wait() : nullptr,
                   kDefaultIdleWait, kMaxIdleWait));
  *settings.mutable_soak() = std::move(soak);
  *settings.mutable_idle_wait() = std::move(idle_wait);
  // Without one it is each tenant's own; there has to be one in any case.
  MTP_RETURN_IF_ERROR(repositories.Choose(RepositoryResource(settings.repository())).status());
  return settings;
}

absl::StatusOr<std::vector<std::string>> WantedTenants(const Tables& tables,
                                                       const v1::CreateRolloutRequest& request) {
  std::set<std::string> names;
  if (static_cast<size_t>(request.tenants_size()) > kMaxTenants) {
    return absl::InvalidArgumentError(absl::StrCat("tenants: at most ", kMaxTenants));
  }
  for (const std::string& resource : request.tenants()) {
    MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(resource));
    if (absl::IsNotFound(tables.tenants.Get(name.value()).status())) {
      return NoSuchTenant(name.value());
    }
    names.insert(name.value());
  }
  if (request.tenants().empty()) {
    MTP_ASSIGN_OR_RETURN(const auto rows, tables.tenants.List());
    for (const auto& row : rows) names.insert(row.id);
  }
  if (names.empty()) {
    return absl::FailedPreconditionError(
        "there is no tenant to update yet; begin with `mtp-cli provision`");
  }
  if (names.size() > kMaxTenants) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the fleet has more than ", kMaxTenants, " tenants; name those that are to be updated"));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace mtp
