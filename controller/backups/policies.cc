#include "controller/backups/policies.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/while_aborted.h"

namespace mtp {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr int kMaxLast = 10'000;
constexpr int kMaxDays = 36'500;

// Empty for the fleet.
absl::StatusOr<std::string> ParseWhose(const std::string& resource) {
  if (resource.empty()) return std::string();
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(resource));
  return name.value();
}

absl::Status CheckLength(absl::Duration length, absl::Duration least, absl::Duration most,
                         absl::string_view sentence) {
  if (length >= least && length <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(sentence);
}

absl::Status CheckNumber(int number, int most, absl::string_view field) {
  if (number >= 0 && number <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " must be from 1 to ", most, ", or 0 for the default"));
}

// The due moment that the record names, moved to `now` when the cadence is another one. False when
// it stays.
bool Move(const Cadence& before, const Cadence& after, absl::Time now,
          google::protobuf::Timestamp* seen) {
  const bool missed = LastDue(before, now) > FromTimestamp(*seen);
  if (before == after || missed) return false;
  *seen = ToTimestamp(now);
  return true;
}

}  // namespace

absl::Status Policies::Check(const v1::BackupPolicy& policy) const {
  MTP_RETURN_IF_ERROR(CheckLength(IntervalOf(policy), absl::Minutes(15), 31 * kDay,
                                  "interval must be from 15 minutes to 31 days"));
  MTP_RETURN_IF_ERROR(CheckLength(WindowOf(policy), absl::Minutes(1), kDay,
                                  "window must be from 1 minute to 24 hours"));
  if (WindowStartMinute(policy) < 0 || WindowStartMinute(policy) >= 24 * 60) {
    return absl::InvalidArgumentError(
        "window_start_minute must be from 0 to 1439, minutes after midnight UTC");
  }
  MTP_RETURN_IF_ERROR(CheckNumber(policy.keep_last(), kMaxLast, "keep_last"));
  MTP_RETURN_IF_ERROR(CheckNumber(policy.keep_days(), kMaxDays, "keep_days"));
  if (DrillIntervalOf(policy) != absl::ZeroDuration()) {
    MTP_RETURN_IF_ERROR(CheckLength(DrillIntervalOf(policy), kDay, 366 * kDay,
                                    "drill_interval must be from 1 to 366 days, or 0 for none"));
  }
  if (policy.repository().empty()) return absl::OkStatus();
  const auto chosen = repositories_->Choose(absl::StrCat("repositories/", policy.repository()));
  // Without any repository there is no such one either.
  if (!absl::IsFailedPrecondition(chosen.status())) return chosen.status();
  return absl::NotFoundError(absl::StrCat("there is no repository \"", policy.repository(),
                                          "\"; begin with `mtp-cli repository add NAME URL`"));
}

absl::StatusOr<v1::BackupPolicy> Policies::Show(const std::string& tenant) const {
  if (tenant.empty()) return PolicyOf(tables_, kFleetPolicy);
  MTP_ASSIGN_OR_RETURN(TenantSchedule schedule, ReadSchedule(tables_, tenant));
  v1::BackupPolicy shown = schedule.policy;
  MTP_ASSIGN_OR_RETURN(const auto repositories, tables_.repositories.List());
  if (repositories.empty()) return shown;
  const absl::Time now = clock_->Now();
  // Not taken up by the schedule yet: it will be from about now on.
  state::v1::ScheduleRecord& record = schedule.record.value;
  if (!record.has_backup_due()) *record.mutable_backup_due() = ToTimestamp(now);
  if (!record.has_drill_due()) *record.mutable_drill_due() = ToTimestamp(now);
  if (const auto turn = NextBackup(tables_, schedule, now); turn.has_value()) {
    *shown.mutable_next_backup_time() = ToTimestamp(turn->when);
  }
  if (const auto turn = NextDrill(tables_, schedule, now); turn.has_value()) {
    *shown.mutable_next_drill_time() = ToTimestamp(turn->when);
  }
  return shown;
}

absl::StatusOr<v1::BackupPolicy> Policies::Get(const v1::GetBackupPolicyRequest& request) const {
  MTP_ASSIGN_OR_RETURN(const std::string tenant, ParseWhose(request.tenant()));
  return Show(tenant);
}

absl::Status Policies::Rebase(const v1::BackupPolicy& policy, const std::string& tenant) {
  std::vector<TenantSchedule> all;
  if (tenant.empty()) {
    MTP_ASSIGN_OR_RETURN(all, ReadSchedules(tables_));
  } else {
    MTP_ASSIGN_OR_RETURN(TenantSchedule one, ReadSchedule(tables_, tenant));
    all.push_back(std::move(one));
  }
  const absl::Time now = clock_->Now();
  std::vector<TenantSchedule> changed;
  for (TenantSchedule& schedule : all) {
    if (tenant.empty() && schedule.policy.own()) continue;
    const std::string& name = schedule.tenant.id;
    state::v1::ScheduleRecord& record = schedule.record.value;
    TenantSchedule next = schedule;
    next.policy = policy;
    bool moved = false;
    if (record.has_backup_due() && schedule.BackupsOn() && next.BackupsOn()) {
      moved |= Move(BackupCadence(schedule.policy, name), BackupCadence(policy, name), now,
                    record.mutable_backup_due());
    }
    if (record.has_drill_due() && schedule.DrillsOn() && next.DrillsOn()) {
      moved |= Move(DrillCadence(schedule.policy, name), DrillCadence(policy, name), now,
                    record.mutable_drill_due());
    }
    if (moved) changed.push_back(std::move(schedule));
  }
  return WriteSchedules(store_, changed);
}

absl::Status Policies::PutPolicy(const v1::SetBackupPolicyRequest& request,
                                 const std::string& tenant) {
  kv::Txn txn;
  const std::string id = tenant.empty() ? kFleetPolicy : TenantPolicyId(tenant);
  if (!tenant.empty()) {
    // So that no policy outlives its tenant.
    MTP_ASSIGN_OR_RETURN(const TenantSchedule schedule, ReadSchedule(tables_, tenant));
    txn.RequireRevision(tables_.tenants.Key(tenant), schedule.tenant.revision);
  }
  if (!request.has_policy()) {
    txn.Delete(tables_.policies.Key(id));
  } else {
    state::v1::BackupPolicyRecord record;
    v1::BackupPolicy& policy = *record.mutable_policy() = request.policy();
    policy.clear_own();
    policy.clear_next_backup_time();
    policy.clear_next_drill_time();
    tables_.policies.Put(txn, id, record);
  }
  return store_->Commit(txn).status();
}

absl::StatusOr<v1::BackupPolicy> Policies::Set(const v1::SetBackupPolicyRequest& request) {
  MTP_ASSIGN_OR_RETURN(const std::string tenant, ParseWhose(request.tenant()));
  if (tenant.empty() && !request.has_policy()) {
    return absl::InvalidArgumentError(
        "the fleet's policy must be given; only a tenant can do without one of its own");
  }
  MTP_RETURN_IF_ERROR(Check(request.policy()));
  MTP_RETURN_IF_ERROR(kv::WhileAborted([&]() -> absl::Status {
    v1::BackupPolicy next = request.policy();
    if (!request.has_policy()) {
      MTP_ASSIGN_OR_RETURN(next, PolicyOf(tables_, kFleetPolicy));
    }
    // First the records: once the policy is there, the schedule may look at any moment.
    MTP_RETURN_IF_ERROR(Rebase(next, tenant));
    return PutPolicy(request, tenant);
  }));
  return Show(tenant);
}

}  // namespace mtp
