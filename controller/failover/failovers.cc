#include "controller/failover/failovers.h"

#include <absl/strings/str_cat.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/failover/yield.h"
#include "controller/state/fleet.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"

namespace mtp::failover {
namespace {

std::string Moment(const v1::Backup& backup) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", FromTimestamp(backup.start_time()),
                          absl::UTCTimeZone());
}

// The old copy surely does not run: it ran under the lease alone, and that is over.
bool IsSafe(const state::v1::TenantRecord& tenant, bool lease_over) {
  return lease_over && tenant.leased() &&
         tenant.resolved().failover_policy() == v1::FAILOVER_POLICY_FAILOVER;
}

std::string Risk(const state::v1::TenantRecord& tenant) {
  return absl::StrCat("the copy of ", tenant.name(), " on host ", tenant.host(),
                      " may still run, unseen: then two pollers on one bot steal each other's "
                      "messages until that host is back or is turned off");
}

absl::Status CheckLost(const state::v1::TenantRecord& tenant, const Observations& observations) {
  if (!observations.GetHost(tenant.host()).connected) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("host ", tenant.host(), " of tenant ",
                                                    tenant.name(),
                                                    " is connected, so nothing has to fail over"));
}

// The operation that goes on with the tenant, if it makes way.
std::string Lender(const Tables& tables, const std::string& tenant) {
  const auto holder = HolderOf(tables, tenant);
  return holder.ok() && Yields(holder->value.operation().kind()) ? holder->id : "";
}

operations::NewOperation RestoreElsewhere(const Tables& tables,
                                          const state::v1::TenantRecord& tenant,
                                          const std::string& host, const v1::Backup& backup) {
  operations::NewOperation operation;
  operation.kind = "restore";
  operation.target = "tenants/" + tenant.name();
  operation.host = host;
  operation.facts[kFreshFact] = "true";
  operation.facts[kBackupFact] = ParseBackup(backup.name()).value_or("");
  operation.facts[kFailedOverFromFact] = tenant.host();
  operation.facts[kPortBeforeFact] = absl::StrCat(tenant.port());
  operation.facts[kLeasedBeforeFact] = tenant.leased() ? "true" : "false";
  operation.locks.push_back(TenantLock(tenant.name()));
  operation.lender = Lender(tables, tenant.name());
  return operation;
}

bool IsOfPresentState(const state::v1::TenantRecord& tenant, const std::string& backup) {
  if (backup == tenant.restored_from()) return true;
  if (!tenant.first_backup().empty()) return backup >= tenant.first_backup();
  return tenant.restored_from().empty() && tenant.has_last_backup_time();
}

}  // namespace

v1::Backup LastGoodBackup(const Tables& tables, const state::v1::TenantRecord& tenant) {
  const auto rows = tables.backups.List();
  if (!rows.ok()) return {};
  v1::Backup newest;
  v1::Backup whole;
  for (const auto& row : *rows) {  // oldest first
    const v1::Backup& backup = row.value.backup();
    if (backup.tenant() != tenant.name() || !IsOfPresentState(tenant, row.id)) continue;
    newest = backup;
    if (backup.damaged_databases().empty()) whole = backup;
  }
  return whole.name().empty() ? newest : whole;
}

absl::StatusOr<v1::Operation> Failovers::FailOver(const std::string& caller,
                                                  const v1::FailOverTenantRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const Wish wish{caller, request, RequestHash(request)};
  auto earlier = engine_->FindRequest(caller, request.request_id(), wish.request_hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  if (!request.host().empty()) MTP_RETURN_IF_ERROR(HostName::Parse(request.host()).status());
  return kv::WhileAborted([&] { return Try(wish); });
}

absl::StatusOr<v1::Operation> Failovers::CarryOut(const Move& move) {
  Wish wish{kByItself, {}, ""};
  wish.request.set_name("tenants/" + move.tenant);
  return kv::WhileAborted([&] { return Try(wish); });
}

absl::StatusOr<v1::Operation> Failovers::Try(const Wish& wish) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(wish.request.name()));
  const auto tenant = tables_.tenants.Get(name.value());
  if (absl::IsNotFound(tenant.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", name.value(), "\"; `mtp-cli status` lists all"));
  }
  if (!tenant.ok()) return tenant.status();
  const v1::Backup backup = LastGoodBackup(tables_, tenant->value);
  if (backup.name().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tenant ", name.value(),
        " has no backup, so there is nothing that it could be restored from "
        "elsewhere; bring host ",
        tenant->value.host(), " back. If its machine is gone for good, `mtp-cli host remove ",
        tenant->value.host(), " --lost` takes it off with what is left there"));
  }
  return book_->WhileNothingIsGranted(
      tenant->value.host(), [&](bool over) { return Place(wish, *tenant, backup, over); });
}

absl::StatusOr<v1::Operation> Failovers::Place(const Wish& wish,
                                               const kv::Row<state::v1::TenantRecord>& tenant,
                                               const v1::Backup& backup, bool lease_over) {
  const v1::FailOverTenantRequest& request = wish.request;
  MTP_RETURN_IF_ERROR(CheckLost(tenant.value, *observations_));
  if (request.host().empty() && !tenant.value.spec().host().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tenant ", tenant.id, " asks for host ", tenant.value.spec().host(),
        " and no other; `mtp-cli tenant failover ", tenant.id, " --host NAME` says where else"));
  }
  const bool safe = IsSafe(tenant.value, lease_over);
  if (!safe && !request.accept_two_copies() && !request.validate_only()) {
    return absl::FailedPreconditionError(Risk(tenant.value));
  }
  kv::Txn txn;
  MTP_ASSIGN_OR_RETURN(
      const v1::PlacementDecision placement,
      tenants_->PlaceElsewhere(tenant, request.host(), request.validate_only() ? nullptr : &txn));
  operations::NewOperation operation =
      RestoreElsewhere(tables_, tenant.value, placement.host(), backup);
  if (request.validate_only()) {
    v1::Operation preview;
    preview.set_kind(operation.kind);
    preview.set_target(operation.target);
    preview.set_host(operation.host);
    preview.set_message(absl::StrCat("it would run on host ", placement.host(),
                                     " with its backup of ", Moment(backup),
                                     "; what came later stays on host ", tenant.value.host()));
    (*preview.mutable_result())["host"] = placement.host();
    (*preview.mutable_result())["backup"] = backup.name();
    if (!safe) (*preview.mutable_result())["risk"] = Risk(tenant.value);
    return preview;
  }
  if (observations_->GetHost(placement.host()).kept_data.count(tenant.id) > 0) {
    operation.facts[kSetAsideFact] = "true";
  }
  operation.created_by = wish.caller;
  operation.request_id = request.request_id();
  operation.request_hash = wish.request_hash;
  return engine_->Create(operation, std::move(txn));
}

}  // namespace mtp::failover
