#include "tests/simulation/schedule_judge.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/base/timestamps.h"
#include "controller/backups/due.h"
#include "controller/backups/tenant_schedule.h"
#include "controller/operations/progress.h"

namespace mtp::simulation {

void ScheduleJudge::OnDowntimeBegins() { down_ = clock_->Now(); }

void ScheduleJudge::OnDowntimeEnds() {
  back_ = clock_->Now();
  const auto rows = tables_.tenants.List();
  if (!rows.ok()) return;
  for (const auto& row : *rows) {
    const auto record = tables_.schedules.Get(row.id);
    // It was not scheduled yet, or by a clock that has jumped since.
    if (!record.ok() || !record->value.has_backup_due()) continue;
    // A clock that was ahead for a while may have had later moments seen to.
    const absl::Time seen = std::max(FromTimestamp(record->value.backup_due()), latest_[row.id]);
    if (seen > down_) continue;
    const Cadence cadence = BackupCadence(policy_, row.id);
    Missed missed;
    missed.epoch = row.value.epoch();
    missed.next = absl::UnixEpoch() + cadence.offset;
    missed.next += absl::Floor(back_ - missed.next, cadence.period) + cadence.period;
    missed.last = missed.next - cadence.period;
    for (absl::Time at = missed.last; at > seen; at -= cadence.period) ++missed.times;
    if (missed.times > 0) missed_[row.id] = missed;
  }
}

void ScheduleJudge::OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                                const state::v1::OperationRecord& after) {
  const v1::Operation& operation = after.operation();
  if (before == nullptr && operation.kind() == "backup" &&
      operation.created_by() == kScheduleCaller) {
    const std::string tenant(absl::StripPrefix(operation.target(), "tenants/"));
    absl::Time& latest = latest_[tenant];
    latest = std::max(latest, FromTimestamp(operation.create_time()));
    if (clock_->Now() >= back_) begun_[tenant].push_back(operation);
  }
  if (operation.kind() != "check-repository") return;
  if (before == nullptr) {
    parts_[id] = Parts();
  } else if (operation.state() == v1::OPERATION_STATE_SUCCEEDED &&
             !operations::HasEnded(before->operation())) {
    const std::set<std::string> still = Parts();
    for (const std::string& part : parts_[id]) {
      const bool looked = agents_->effects().count(absl::StrCat(id, "/check/", part)) > 0;
      if (!looked && still.count(part) > 0) {
        judge_->Violation(absl::StrCat("check ", id, " did not look at ", part));
      }
    }
  }
}

std::set<std::string> ScheduleJudge::Parts() const {
  std::set<std::string> parts;
  for (const auto& [id, backup] : engines_->repository()) {
    if (Succeeded(id)) parts.insert(absl::StrCat(backup.tenant, "/", backup.host));
  }
  return parts;
}

// The ULID of a backup that nothing else needs is its operation's.
bool ScheduleJudge::Succeeded(const std::string& id) const {
  const state::v1::OperationRecord* const record = judge_->Find(id);
  return record != nullptr && record->operation().state() == v1::OPERATION_STATE_SUCCEEDED;
}

void ScheduleJudge::Conclude() {
  for (const auto& [tenant, missed] : missed_) {
    const auto row = tables_.tenants.Get(tenant);
    const std::vector<v1::Operation>& begun = begun_[tenant];
    if (begun.empty() && row.ok() && row->value.epoch() == missed.epoch) {
      judge_->Violation(absl::StrCat(missed.times, " backups of ", tenant,
                                     " were missed and none was made afterwards"));
    }
    int written = 0;
    for (const v1::Operation& operation : begun) {
      const std::string id(absl::StripPrefix(operation.name(), "operations/"));
      if (FromTimestamp(operation.create_time()) >= missed.next) continue;
      const bool wrote = agents_->effects().count(absl::StrCat(id, "/snapshot")) > 0;
      if (wrote && Succeeded(id)) ++written;
    }
    if (written == 1 && missed.times > 1) ++caught_up_;
    if (written > 1) {
      judge_->Violation(absl::StrCat(missed.times, " backups of ", tenant, " were missed and ",
                                     written, " were made for them"));
    }
  }
}

}  // namespace mtp::simulation
