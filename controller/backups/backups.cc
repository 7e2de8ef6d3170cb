#include "controller/backups/backups.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

v1::Operation Preview(const operations::NewOperation& operation, const std::string& note) {
  v1::Operation preview;
  preview.set_kind(operation.kind);
  preview.set_target(operation.target);
  preview.set_host(operation.host);
  preview.set_message(note);
  return preview;
}

}  // namespace

template <typename Request, typename Decide>
absl::StatusOr<v1::Operation> Backups::Ask(const std::string& caller, const Request& request,
                                           Decide decide) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const std::string hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Operation> {
    MTP_ASSIGN_OR_RETURN(Decision decision, decide());
    operations::NewOperation& operation = decision.operation;
    if (request.validate_only()) return Preview(operation, decision.note);
    operation.created_by = caller;
    operation.request_id = request.request_id();
    operation.request_hash = hash;
    return engine_->Create(operation, std::move(decision.txn));
  });
}

absl::StatusOr<v1::Operation> Backups::Create(const std::string& caller,
                                              const v1::CreateBackupRequest& request) {
  return CreateFor("manual", caller, request);
}

absl::StatusOr<v1::Operation> Backups::CreateFor(const std::string& reason,
                                                 const std::string& caller,
                                                 const v1::CreateBackupRequest& request) {
  return Ask(caller, request, [&] { return DecideBackup(reason, request); });
}

absl::StatusOr<v1::Operation> Backups::Verify(const std::string& caller,
                                              const v1::VerifyBackupRequest& request) {
  return Ask(caller, request, [&] { return DecideVerification(request); });
}

absl::StatusOr<v1::Operation> Backups::Check(const std::string& caller,
                                             const v1::CheckRepositoryRequest& request) {
  return Ask(caller, request, [&] { return DecideCheck(request); });
}

absl::StatusOr<v1::Operation> Backups::Drill(const std::string& caller,
                                             const v1::DrillBackupRequest& request) {
  return Ask(caller, request, [&] { return DecideDrill(request); });
}

absl::StatusOr<v1::Operation> Backups::Restore(const std::string& caller,
                                               const v1::RestoreBackupRequest& request) {
  return Ask(caller, request, [&] { return DecideRestore(request); });
}

absl::StatusOr<Backups::Decision> Backups::DecideBackup(
    const std::string& reason, const v1::CreateBackupRequest& request) const {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(request.tenant()));
  const auto row = tables_.tenants.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", name.value(), "\"; `mtp-cli status` lists all"));
  }
  if (!row.ok()) return row.status();
  MTP_ASSIGN_OR_RETURN(const std::string repository,
                       repositories_->ChooseFor(name.value(), request.repository()));
  Decision decision;
  decision.operation.kind = "backup";
  decision.operation.target = name.Resource();
  decision.operation.host = row->value.host();
  decision.operation.facts[kRepositoryFact] = repository;
  decision.operation.facts[kReasonFact] = reason;
  decision.operation.locks.push_back(TenantLock(name.value()));
  decision.txn.RequireRevision(tables_.tenants.Key(row->id), row->revision);
  decision.note = absl::StrCat("into repository ", repository);
  return decision;
}

absl::StatusOr<ActionPlace> Backups::PlaceOf(const v1::Backup& backup, kv::Txn& txn) const {
  ActionPlace place{backup.host()};
  if (const auto tenant = tables_.tenants.Get(backup.tenant()); tenant.ok()) {
    place = {tenant->value.host(), tenant->value.epoch()};
    txn.RequireRevision(tables_.tenants.Key(tenant->id), tenant->revision);
  } else if (!absl::IsNotFound(tenant.status())) {
    return tenant.status();
  } else if (!tables_.hosts.Get(place.host).ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant \"", backup.tenant(), "\" is not placed, and host ", place.host,
                     ", which wrote the backup, is not in the fleet any more; `mtp-cli backup "
                     "restore` puts it on "
                     "another host, and compares all of it"));
  } else if (const auto highest = tables_.epochs.Get(backup.tenant()); highest.ok()) {
    place.epoch = highest->value.epoch();
  }
  return place;
}

absl::StatusOr<Backups::Decision> Backups::DecideVerification(
    const v1::VerifyBackupRequest& request) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseBackup(request.name()));
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables_, id));
  const v1::Backup& backup = row.value.backup();
  Decision decision;
  MTP_ASSIGN_OR_RETURN(const ActionPlace place, PlaceOf(backup, decision.txn));
  decision.operation.kind = "verify-backup";
  decision.operation.target = backup.name();
  decision.operation.host = place.host;
  decision.operation.facts[kBackupFact] = id;
  decision.operation.facts[kHostFact] = place.host;
  decision.operation.facts[kEpochFact] = absl::StrCat(place.epoch);
  decision.operation.locks.push_back(BackupLock(id));
  return decision;
}

absl::StatusOr<Backups::ExportPlan> Backups::PlanExport(const v1::ExportBackupRequest& request,
                                                        const std::string& fleet) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseBackup(request.name()));
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables_, id));
  const v1::Backup& backup = row.value.backup();
  kv::Txn unused;
  MTP_ASSIGN_OR_RETURN(const ActionPlace place, PlaceOf(backup, unused));
  ExportPlan plan{place.host, {}};
  *plan.request.mutable_backup() = ReferenceTo(backup, fleet);
  MTP_ASSIGN_OR_RETURN(*plan.request.mutable_repository(),
                       AccessFor(tables_, *box_, backup.repository(), backup.tenant()));
  return plan;
}

absl::StatusOr<Backups::Decision> Backups::DecideRestore(const v1::RestoreBackupRequest& request) {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseBackup(request.name()));
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables_, id));
  const v1::Backup& backup = row.value.backup();
  MTP_ASSIGN_OR_RETURN(
      const TenantName name,
      TenantName::Parse(request.tenant_id().empty() ? backup.tenant() : request.tenant_id()));
  if (!request.host().empty()) MTP_RETURN_IF_ERROR(HostName::Parse(request.host()).status());
  MTP_RETURN_IF_ERROR(CheckSecrets(request.secrets(), /*required=*/false));
  const auto tenant = tables_.tenants.Get(name.value());
  if (!tenant.ok() && !absl::IsNotFound(tenant.status())) return tenant.status();
  MTP_ASSIGN_OR_RETURN(Decision decision, tenant.ok() ? IntoPlaced(request, backup, *tenant)
                                                      : IntoFresh(request, row, name));
  decision.operation.kind = "restore";
  decision.operation.target = name.Resource();
  decision.operation.facts[kBackupFact] = id;
  decision.operation.locks.push_back(TenantLock(name.value()));
  // The lock of its own tenant keeps a pruning away; another name's does not.
  if (name.value() != backup.tenant()) decision.operation.locks.push_back(BackupLock(id));
  return decision;
}

absl::StatusOr<Backups::Decision> Backups::IntoPlaced(
    const v1::RestoreBackupRequest& request, const v1::Backup& backup,
    const kv::Row<state::v1::TenantRecord>& tenant) const {
  const std::string& host = tenant.value.host();
  // Never one client's data in the place of another's.
  if (tenant.id != backup.tenant()) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is already a tenant \"", tenant.id, "\" on host ", host,
                     ", and the backup holds tenant \"", backup.tenant(),
                     "\"; restore it into that one, or under a name that is free"));
  }
  v1::TenantSecrets given = request.secrets();
  given.clear_gateway_token();
  if (given.ByteSizeLong() > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tenant \"", tenant.id,
                     "\" is placed and keeps the secrets that it has; leave the secrets out"));
  }
  if (!request.host().empty() && request.host() != host) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant \"", tenant.id, "\" is on host ", host, ", not on ", request.host(),
                     "; leave the host out, or remove the tenant first"));
  }
  Decision decision;
  decision.operation.host = host;
  decision.operation.facts[kFreshFact] = "false";
  decision.operation.facts[kWasRunningFact] =
      tenant.value.spec().run_policy() == v1::RUN_POLICY_STOP ? "false" : "true";
  decision.txn.RequireRevision(tables_.tenants.Key(tenant.id), tenant.revision);
  decision.note = absl::StrCat("replaces its data on host ", host,
                               "; what is there now is kept aside for a day");
  return decision;
}

absl::StatusOr<Backups::Decision> Backups::IntoFresh(const v1::RestoreBackupRequest& request,
                                                     const kv::Row<state::v1::BackupRecord>& backup,
                                                     const TenantName& name) {
  MTP_ASSIGN_OR_RETURN(v1::TenantSecrets secrets, SecretsOf(tables_, *box_, backup));
  v1::TenantSecrets given = request.secrets();
  given.clear_gateway_token();
  secrets.MergeFrom(given);
  if (name.value() != backup.value.backup().tenant()) secrets.clear_gateway_token();
  Newcomer newcomer{name, backup.value.backup().spec(), std::move(secrets), request.host(), {}};
  // The host that is asked for now is where it belongs. Where it asked for one, only a person knows
  // which other will do.
  if (const std::string asked = newcomer.spec.host(); !asked.empty()) {
    if (request.host().empty() && absl::IsNotFound(tables_.hosts.Get(asked).status())) {
      return absl::FailedPreconditionError(
          absl::StrCat("tenant \"", name.value(), "\" asked for host ", asked,
                       ", which has left the fleet; --host says where it is to be now"));
    }
    if (!request.host().empty()) newcomer.spec.set_host(request.host());
  }
  Decision decision;
  MTP_ASSIGN_OR_RETURN(
      const v1::PlacementDecision placement,
      tenants_->Place(newcomer, request.validate_only() ? nullptr : &decision.txn));
  decision.operation.host = placement.host();
  decision.operation.facts[kFreshFact] = "true";
  decision.note = absl::StrCat("as a new tenant on host ", placement.host());
  if (observations_->GetHost(placement.host()).kept_data.count(name.value()) > 0) {
    decision.operation.facts[kSetAsideFact] = "true";
    absl::StrAppend(&decision.note,
                    "; data that an earlier tenant of that name left there is put aside for a day");
  }
  return decision;
}

absl::StatusOr<v1::Backup> Backups::Get(const std::string& name) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseBackup(name));
  MTP_ASSIGN_OR_RETURN(const auto row, FindBackup(tables_, id));
  return row.value.backup();
}

absl::StatusOr<std::vector<v1::Backup>> Backups::List(const std::string& tenant) const {
  std::string only;
  if (!tenant.empty()) {
    MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(tenant));
    only = name.value();
  }
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.backups.List());
  std::vector<v1::Backup> backups;
  for (const auto& row : rows) {
    if (only.empty() || row.value.backup().tenant() == only) backups.push_back(row.value.backup());
  }
  std::reverse(backups.begin(), backups.end());
  return backups;
}

}  // namespace mtp
