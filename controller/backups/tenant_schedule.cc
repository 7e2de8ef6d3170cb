#include "controller/backups/tenant_schedule.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>

#include "common/base/status.h"
#include "common/base/timestamps.h"

namespace mtp {
namespace {

// Two compares and a put for each tenant.
constexpr int kBatch = 100;
constexpr absl::Duration kFirstPause = absl::Minutes(5);
constexpr int kPauseFactor = 4;

// 0 for an operation whose request id is none of RequestIdFor.
int AttemptOf(const v1::Operation& operation) {
  const absl::string_view id = operation.request_id();
  int attempt = 0;
  const size_t dash = id.rfind('-');
  if (dash == absl::string_view::npos || !absl::SimpleAtoi(id.substr(dash + 1), &attempt)) return 0;
  return attempt;
}

std::optional<v1::Operation> FindOperation(const Tables& tables, const std::string& id) {
  if (id.empty()) return std::nullopt;
  const auto row = tables.operations.Get(id);
  if (!row.ok()) return std::nullopt;
  return row->value.operation();
}

}  // namespace

std::string TenantPolicyId(const std::string& tenant) { return absl::StrCat("tenants/", tenant); }

absl::StatusOr<v1::BackupPolicy> PolicyOf(const Tables& tables, const std::string& id) {
  const auto row = tables.policies.Get(id);
  if (absl::IsNotFound(row.status())) return v1::BackupPolicy();
  if (!row.ok()) return row.status();
  return row->value.policy();
}

absl::StatusOr<v1::BackupPolicy> PolicyOfTenant(const Tables& tables, const std::string& tenant) {
  const auto own = tables.policies.Get(TenantPolicyId(tenant));
  if (!own.ok() && !absl::IsNotFound(own.status())) return own.status();
  v1::BackupPolicy policy;
  if (own.ok()) {
    policy = own->value.policy();
  } else {
    MTP_ASSIGN_OR_RETURN(policy, PolicyOf(tables, kFleetPolicy));
  }
  policy.set_own(own.ok());
  return policy;
}

absl::StatusOr<std::vector<TenantSchedule>> ReadSchedules(const Tables& tables) {
  MTP_ASSIGN_OR_RETURN(auto tenants, tables.tenants.List());
  MTP_ASSIGN_OR_RETURN(auto policies, tables.policies.List());
  MTP_ASSIGN_OR_RETURN(auto records, tables.schedules.List());
  std::map<std::string, v1::BackupPolicy> by_id;
  for (auto& row : policies) by_id[row.id] = std::move(*row.value.mutable_policy());
  std::map<std::string, kv::Row<state::v1::ScheduleRecord>> by_tenant;
  for (auto& row : records) by_tenant[row.id] = std::move(row);
  std::vector<TenantSchedule> all;
  all.reserve(tenants.size());
  for (auto& row : tenants) {
    TenantSchedule schedule;
    const auto own = by_id.find(TenantPolicyId(row.id));
    schedule.policy = own == by_id.end() ? by_id[kFleetPolicy] : own->second;
    schedule.policy.set_own(own != by_id.end());
    schedule.record.id = row.id;
    if (const auto record = by_tenant.find(row.id); record != by_tenant.end()) {
      schedule.record = std::move(record->second);
    }
    schedule.tenant = std::move(row);
    all.push_back(std::move(schedule));
  }
  return all;
}

absl::StatusOr<TenantSchedule> ReadSchedule(const Tables& tables, const std::string& tenant) {
  TenantSchedule schedule;
  auto row = tables.tenants.Get(tenant);
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", tenant, "\"; `mtp-cli status` lists all"));
  }
  if (!row.ok()) return row.status();
  schedule.tenant = *std::move(row);
  MTP_ASSIGN_OR_RETURN(schedule.policy, PolicyOfTenant(tables, tenant));
  auto record = tables.schedules.Get(tenant);
  schedule.record.id = tenant;
  if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
  if (record.ok()) schedule.record = *std::move(record);
  return schedule;
}

absl::Status WriteSchedules(kv::Store* store, const std::vector<TenantSchedule>& changed) {
  const Tables tables(store);
  for (size_t begin = 0; begin < changed.size(); begin += kBatch) {
    kv::Txn txn;
    for (size_t i = begin; i < std::min(begin + kBatch, changed.size()); ++i) {
      const TenantSchedule& schedule = changed[i];
      const std::string& tenant = schedule.tenant.id;
      // So that no record outlives its tenant.
      txn.RequireRevision(tables.tenants.Key(tenant), schedule.tenant.revision);
      txn.RequireRevision(tables.schedules.Key(tenant), schedule.record.revision);
      tables.schedules.Put(txn, tenant, schedule.record.value);
    }
    MTP_RETURN_IF_ERROR(store->Commit(txn).status());
  }
  return absl::OkStatus();
}

Turn NextTurn(const Cadence& cadence, absl::Time seen, const std::optional<v1::Operation>& last,
              absl::Time now) {
  if (const absl::Time missed = LastDue(cadence, now); missed > seen) return {missed, missed, 1};
  const absl::Time next = NextDue(cadence, std::max(seen, now));
  if (last.has_value() && last->state() == v1::OPERATION_STATE_FAILED) {
    const int attempt = AttemptOf(*last);
    absl::Duration pause = kFirstPause;
    for (int i = 1; i < attempt; ++i) pause *= kPauseFactor;
    const absl::Time again = FromTimestamp(last->end_time()) + pause;
    if (attempt >= 1 && attempt < kMaxScheduleAttempts && again < next) {
      return {again, seen, attempt + 1};
    }
  }
  return {next, next, 1};
}

std::optional<Turn> NextBackup(const Tables& tables, const TenantSchedule& schedule,
                               absl::Time now) {
  const state::v1::ScheduleRecord& record = schedule.record.value;
  if (!schedule.BackupsOn() || !record.has_backup_due()) return std::nullopt;
  std::optional<v1::Operation> last;
  // One by hand may have succeeded since.
  if (!schedule.tenant.value.backup_failure().empty()) {
    last = FindOperation(tables, record.backup_operation());
  }
  return NextTurn(BackupCadence(schedule.policy, schedule.tenant.id),
                  FromTimestamp(record.backup_due()), last, now);
}

std::optional<Turn> NextDrill(const Tables& tables, const TenantSchedule& schedule,
                              absl::Time now) {
  const state::v1::ScheduleRecord& record = schedule.record.value;
  if (!schedule.DrillsOn() || !record.has_drill_due()) return std::nullopt;
  return NextTurn(DrillCadence(schedule.policy, schedule.tenant.id),
                  FromTimestamp(record.drill_due()),
                  FindOperation(tables, record.drill_operation()), now);
}

std::string RequestIdFor(const std::string& what, const std::string& tenant, const Turn& turn) {
  return absl::StrCat(what, "-", tenant, "-", absl::ToUnixSeconds(turn.due), "-", turn.attempt);
}

}  // namespace mtp
