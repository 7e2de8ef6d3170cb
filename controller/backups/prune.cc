// Decides which backups are removed, and by which hosts.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/backups.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/kinds.h"
#include "controller/backups/retention.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

// At once, the oldest: each is locked, and a transaction has 512 changes.
constexpr size_t kMaxPruned = 400;
constexpr int kDefaultLast = 7;
constexpr int kDefaultDays = 30;
constexpr int kMaxLast = 10'000;
constexpr int kMaxDays = 36'500;

absl::StatusOr<int> Bounded(int given, int fallback, int most, const char* field) {
  if (given == 0) return fallback;
  if (given >= 1 && given <= most) return given;
  return absl::InvalidArgumentError(absl::StrCat(field, " must be from 1 to ", most));
}

std::string IdOf(const v1::Backup& backup) {
  return std::string(absl::StripPrefix(backup.name(), "backups/"));
}

// What the operation has to know of them.
std::string InputOf(const std::vector<v1::Backup>& plan) {
  v1::PruneBackupsResponse input;
  for (const v1::Backup& backup : plan) {
    v1::Backup& bare = *input.add_backups() = backup;
    bare.clear_spec();
    bare.clear_damaged_databases();
  }
  return input.SerializeAsString();
}

// A row that was read.
struct Seen {
  std::string key;
  int64_t revision = 0;
};

// Those of one tenant, the oldest first; adds by name what was read.
absl::StatusOr<std::vector<v1::Backup>> BackupsOf(const TenantName& tenant,
                                                  const kv::Table<state::v1::BackupRecord>& table,
                                                  std::map<std::string, Seen>& seen) {
  MTP_ASSIGN_OR_RETURN(const auto rows, table.List());
  std::vector<v1::Backup> backups;
  for (const auto& row : rows) {
    if (row.value.backup().tenant() != tenant.value()) continue;
    backups.push_back(row.value.backup());
    seen[row.value.backup().name()] = {table.Key(row.id), row.revision};
  }
  return backups;
}

// Where the tenant is, or was.
struct Whereabouts {
  std::string host;  // empty for one that is not placed
  int64_t epoch = 1;
};

absl::StatusOr<Whereabouts> Locate(const Tables& tables, const std::string& tenant, kv::Txn& txn) {
  const auto row = tables.tenants.Get(tenant);
  if (row.ok()) {
    txn.RequireRevision(tables.tenants.Key(tenant), row->revision);
    return Whereabouts{row->value.host(), row->value.epoch()};
  }
  if (!absl::IsNotFound(row.status())) return row.status();
  txn.RequireAbsent(tables.tenants.Key(tenant));
  const auto highest = tables.epochs.Get(tenant);
  return Whereabouts{"", highest.ok() ? std::max<int64_t>(highest->value.epoch(), 1) : 1};
}

absl::StatusOr<bool> IsFolder(const Tables& tables, const std::string& repository) {
  MTP_ASSIGN_OR_RETURN(const auto row, tables.repositories.Get(repository));
  return absl::StartsWith(row.value.repository().url(), "/");
}

// The host that removes the backup. A folder is looked for where the backup was written: if another
// host does not share it, nothing would be found there and the backup be taken for gone. So it is
// with one that was called off: its host may still write it.
absl::StatusOr<std::string> HostFor(const Tables& tables, const FleetObservation& fleet,
                                    const v1::Backup& backup, const std::string& tenants_host,
                                    const std::string& newest_host) {
  const auto connected = [&](const std::string& host) {
    const auto seen = fleet.find(host);
    return seen != fleet.end() && seen->second.connected && tables.hosts.Get(host).ok();
  };
  MTP_ASSIGN_OR_RETURN(const bool folder, IsFolder(tables, backup.repository()));
  const bool there = folder || backup.reason() == kCalledOffReason;
  if (there && tables.hosts.Get(backup.host()).ok()) {
    if (connected(backup.host())) return backup.host();
    return absl::FailedPreconditionError(
        absl::StrCat("host ", backup.host(), ", which wrote ", backup.name(),
                     ", is not connected; prune when it is back, or after `mtp-cli host remove ",
                     backup.host(), "`"));
  }
  for (const std::string& host : {tenants_host, newest_host}) {
    if (connected(host)) return host;
  }
  for (const auto& [host, seen] : fleet) {
    if (connected(host)) return host;
  }
  return absl::FailedPreconditionError(
      "no host is connected that could remove backups; `mtp-cli status` shows the hosts");
}

}  // namespace

absl::StatusOr<v1::PruneBackupsResponse> Backups::PrunedBy(const v1::Operation& operation) const {
  MTP_ASSIGN_OR_RETURN(
      const auto row,
      tables_.operations.Get(std::string(absl::StripPrefix(operation.name(), "operations/"))));
  v1::PruneBackupsResponse response;
  if (!response.ParseFromString(row.value.input())) {
    return absl::DataLossError("the operation does not say which backups it removes");
  }
  *response.mutable_operation() = operation;
  return response;
}

void Backups::AddWhatIsInReach(const std::vector<v1::Backup>& left,
                               std::vector<v1::Backup>& plan) const {
  const FleetObservation fleet = observations_->Get();
  std::copy_if(left.rbegin(), left.rend(), std::back_inserter(plan), [&](const v1::Backup& backup) {
    return HostFor(tables_, fleet, backup, backup.host(), "").ok();
  });
}

absl::StatusOr<Backups::Decision> Backups::DecidePrune(const TenantName& name,
                                                       const std::vector<v1::Backup>& plan,
                                                       const std::string& newest_host) const {
  Decision decision;
  MTP_ASSIGN_OR_RETURN(const Whereabouts tenant, Locate(tables_, name.value(), decision.txn));
  operations::NewOperation& operation = decision.operation;
  operation.kind = "prune";
  operation.target = name.Resource();
  operation.input = InputOf(plan);
  operation.facts[kEpochFact] = absl::StrCat(tenant.epoch);
  operation.locks.push_back(TenantLock(name.value()));
  const FleetObservation fleet = observations_->Get();
  // What called off ones may have left is last, and leaves the least choice.
  for (auto backup = plan.rbegin(); backup != plan.rend(); ++backup) {
    operation.locks.push_back(BackupLock(IdOf(*backup)));
    std::string& host = operation.facts[PrunerFact(*backup)];
    if (!host.empty()) continue;
    MTP_ASSIGN_OR_RETURN(host, HostFor(tables_, fleet, *backup, tenant.host, newest_host));
  }
  operation.host = operation.facts[PrunerFact(plan.front())];
  return decision;
}

absl::StatusOr<v1::PruneBackupsResponse> Backups::Prune(const std::string& caller,
                                                        const v1::PruneBackupsRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(request.tenant()));
  MTP_ASSIGN_OR_RETURN(const int last,
                       Bounded(request.keep_last(), kDefaultLast, kMaxLast, "keep_last"));
  MTP_ASSIGN_OR_RETURN(const int days,
                       Bounded(request.keep_days(), kDefaultDays, kMaxDays, "keep_days"));
  const std::string hash = RequestHash(request);
  const auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
  if (earlier.ok()) return PrunedBy(*earlier);
  if (!absl::IsNotFound(earlier.status())) return earlier.status();
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::PruneBackupsResponse> {
    std::map<std::string, Seen> seen;
    MTP_ASSIGN_OR_RETURN(const auto backups, BackupsOf(name, tables_.backups, seen));
    MTP_ASSIGN_OR_RETURN(const auto left, BackupsOf(name, tables_.left_snapshots, seen));
    if (backups.empty() && left.empty()) {
      return absl::NotFoundError(absl::StrCat("there is no backup of tenant \"", name.value(),
                                              "\"; `mtp-cli backup list` shows all"));
    }
    std::vector<v1::Backup> plan = PrunePlan(backups, clock_->Now(), last, days);
    AddWhatIsInReach(left, plan);
    if (plan.size() > kMaxPruned) plan.erase(plan.begin(), plan.end() - kMaxPruned);
    v1::PruneBackupsResponse response;
    for (const v1::Backup& backup : plan) *response.add_backups() = backup;
    if (plan.empty() || request.validate_only()) return response;
    MTP_ASSIGN_OR_RETURN(Decision decision,
                         DecidePrune(name, plan, (backups.empty() ? left : backups).back().host()));
    // One that was verified meanwhile may have to stay.
    for (const v1::Backup& backup : plan) {
      const Seen& row = seen[backup.name()];
      decision.txn.RequireRevision(row.key, row.revision);
    }
    decision.operation.created_by = caller;
    decision.operation.request_id = request.request_id();
    decision.operation.request_hash = hash;
    MTP_ASSIGN_OR_RETURN(*response.mutable_operation(),
                         engine_->Create(decision.operation, std::move(decision.txn)));
    return response;
  });
}

}  // namespace mtp
