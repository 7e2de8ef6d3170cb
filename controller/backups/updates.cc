#include "controller/backups/updates.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "common/base/durations.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/ulid.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/kinds.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/request_hash.h"

namespace mtp {
namespace {

constexpr absl::Duration kDefaultSoak = absl::Seconds(60);
constexpr absl::Duration kMaxSoak = absl::Hours(24);
constexpr absl::Duration kDefaultIdleWait = absl::Minutes(5);
constexpr absl::Duration kMaxIdleWait = absl::Minutes(30);

absl::StatusOr<int64_t> WholeSeconds(const google::protobuf::Duration& given, absl::Duration most,
                                     absl::string_view what) {
  const absl::Duration duration = FromDuration(given);
  if (duration < absl::ZeroDuration() || duration > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " must be from 0 to ", absl::FormatDuration(most)));
  }
  return absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
}

// What runs now, as exactly as anybody knows: a tag may mean another image by now, the container
// still is what it was made from.
std::string ImageInForce(const state::v1::TenantRecord& record, const HostObservation& seen) {
  if (IsPinned(record.resolved().image())) return record.resolved().image();
  const auto status = seen.tenants.find(record.name());
  if (status == seen.tenants.end() || status->second.image_id().empty()) {
    return record.resolved().image();
  }
  return status->second.image_id();
}

}  // namespace

bool IsPinned(const std::string& image) {
  return absl::StartsWith(image, "sha256:") || absl::StrContains(image, "@sha256:");
}

absl::StatusOr<v1::Operation> Updates::Begin(const std::string& caller,
                                             const std::string& request_id,
                                             const std::string& tenant,
                                             const v1::RolloutSettings& settings,
                                             const std::string& pinned_image) {
  // All that tells this update from another one.
  v1::CreateRolloutRequest request;
  *request.mutable_settings() = settings;
  request.add_tenants(tenant);
  request.add_tenants(pinned_image);
  const std::string hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request_id, hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Operation> {
    MTP_ASSIGN_OR_RETURN(Decision decision, Decide(tenant, settings, pinned_image));
    decision.operation.created_by = caller;
    decision.operation.request_id = request_id;
    decision.operation.request_hash = hash;
    return engine_->Create(decision.operation, std::move(decision.txn));
  });
}

absl::StatusOr<Updates::Decision> Updates::Decide(const std::string& tenant,
                                                  const v1::RolloutSettings& settings,
                                                  const std::string& pinned_image) const {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(tenant));
  if (!IsPinned(pinned_image)) {
    return absl::InvalidArgumentError(
        absl::StrCat("image \"", pinned_image, "\" may mean another one tomorrow; an update takes ",
                     "<repository>@sha256:… or sha256:…"));
  }
  const auto row = tables_.tenants.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", tenant, "\"; `mtp-cli status` lists all"));
  }
  if (!row.ok()) return row.status();
  const state::v1::TenantRecord& record = row->value;
  if (record.spec().run_policy() == v1::RUN_POLICY_STOP || !record.provisioned()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tenant \"", tenant, "\" ",
        record.provisioned() ? "is stopped" : "has not been started yet",
        ", and whether an image works shows only in one that runs; start it, then update it"));
  }
  MTP_ASSIGN_OR_RETURN(
      const std::string repository,
      repositories_->ChooseFor(name.value(), RepositoryResource(settings.repository())));
  int64_t soak_s = absl::ToInt64Seconds(kDefaultSoak);
  if (settings.has_soak()) {
    MTP_ASSIGN_OR_RETURN(soak_s, WholeSeconds(settings.soak(), kMaxSoak, "the soak"));
  }
  int64_t idle_wait_s = absl::ToInt64Seconds(kDefaultIdleWait);
  if (settings.has_idle_wait()) {
    MTP_ASSIGN_OR_RETURN(idle_wait_s, WholeSeconds(settings.idle_wait(), kMaxIdleWait,
                                                   "the wait for an idle moment"));
  }

  Decision decision;
  operations::NewOperation& operation = decision.operation;
  operation.kind = "update";
  operation.target = name.Resource();
  operation.host = record.host();
  operation.locks.push_back(TenantLock(name.value()));
  operation.facts[kRepositoryFact] = repository;
  operation.facts[kToImageFact] = pinned_image;
  operation.facts[kFromImageFact] = ImageInForce(record, observations_->GetHost(record.host()));
  operation.facts[kSpecImageFact] = settings.image();
  operation.facts[kOnlineBackupFact] = NewUlid(*clock_, *random_);
  operation.facts[kFinalBackupFact] = NewUlid(*clock_, *random_);
  operation.facts[kRehearseFact] = settings.no_rehearsal() ? "false" : "true";
  operation.facts[kSoakFact] = absl::StrCat(soak_s);
  operation.facts[kIdleWaitFact] = absl::StrCat(idle_wait_s);
  operation.facts[kPlacementFact] = absl::StrCat(record.epoch());
  decision.txn.RequireRevision(tables_.tenants.Key(row->id), row->revision);
  return decision;
}

}  // namespace mtp
