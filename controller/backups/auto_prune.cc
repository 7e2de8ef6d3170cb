#include "controller/backups/auto_prune.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <utility>

#include "common/base/status.h"
#include "controller/backups/retention.h"

namespace mtp {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
// After a start: until the hosts are there.
constexpr absl::Duration kFirstDay = absl::Minutes(15);

}  // namespace

void AutoPrune::Look(const std::vector<TenantSchedule>& all, const ScheduledWork& work) {
  NoteEnds(all, work);
  const bool day = clock_->Monotonic() >= next_day_;
  if (!day && waiting_.empty()) return;
  auto catalogue = ReadCatalogue();
  auto fleet_policy = PolicyOf(tables_, kFleetPolicy);
  if (!catalogue.ok() || !fleet_policy.ok()) {
    const absl::Status status = catalogue.ok() ? fleet_policy.status() : catalogue.status();
    if (on_failure_) on_failure_("schedules", status);
    return;
  }
  if (day) {
    next_day_ = clock_->Monotonic() + kDay;
    NoteDay(all, *catalogue);
  }
  std::map<std::string, const v1::BackupPolicy*> policies;
  for (const TenantSchedule& schedule : all) policies[schedule.tenant.id] = &schedule.policy;
  int begun = 0;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (work.prunings + begun >= max_running_) break;
    const std::string& tenant = it->first;
    // The end of what holds it leads to another look.
    if (work.held.count(tenant) > 0) {
      ++it;
      continue;
    }
    const auto own = policies.find(tenant);
    const v1::BackupPolicy& policy = own == policies.end() ? *fleet_policy : *own->second;
    const absl::Status status = Begin(tenant, policy, it->second, (*catalogue)[tenant], &begun);
    if (!status.ok() && on_failure_) on_failure_("pruning of " + tenant, status);
    it = waiting_.erase(it);
  }
}

void AutoPrune::NoteEnds(const std::vector<TenantSchedule>& all, const ScheduledWork& work) {
  std::map<std::string, std::string> noted;
  for (const TenantSchedule& schedule : all) {
    const std::string& operation = schedule.record.value.backup_operation();
    const std::string& tenant = schedule.tenant.id;
    if (operation.empty()) continue;
    const auto before = noted_.find(tenant);
    if (work.operations.count(operation) > 0) {
      if (before != noted_.end()) noted[tenant] = before->second;
      continue;
    }
    noted[tenant] = operation;
    const bool fresh = started_ && (before == noted_.end() || before->second != operation);
    if (fresh && Succeeded(schedule)) waiting_[tenant] = absl::StrCat("prune-", operation);
  }
  noted_ = std::move(noted);
  if (!started_) next_day_ = clock_->Monotonic() + kFirstDay;
  started_ = true;
}

void AutoPrune::NoteDay(const std::vector<TenantSchedule>& all, const Catalogue& catalogue) {
  const std::string date = absl::FormatTime("%Y%m%d", clock_->Now(), absl::UTCTimeZone());
  std::set<std::string> passed_over;
  for (const TenantSchedule& schedule : all) {
    if (!Succeeded(schedule)) passed_over.insert(schedule.tenant.id);
  }
  for (const auto& [tenant, shelf] : catalogue) {
    if (passed_over.count(tenant) > 0) continue;
    waiting_.emplace(tenant, absl::StrCat("prune-", tenant, "-", date));
  }
}

bool AutoPrune::Succeeded(const TenantSchedule& schedule) const {
  const auto row = tables_.operations.Get(schedule.record.value.backup_operation());
  return row.ok() && row->value.operation().state() == v1::OPERATION_STATE_SUCCEEDED;
}

absl::StatusOr<AutoPrune::Catalogue> AutoPrune::ReadCatalogue() const {
  MTP_ASSIGN_OR_RETURN(auto rows, tables_.backups.List());
  MTP_ASSIGN_OR_RETURN(const auto left, tables_.left_snapshots.List());
  Catalogue catalogue;
  for (auto& row : rows) {
    v1::Backup& backup = *row.value.mutable_backup();
    const std::string tenant = backup.tenant();
    catalogue[tenant].backups.push_back(std::move(backup));
  }
  for (const auto& row : left) catalogue[row.value.backup().tenant()].has_left_snapshots = true;
  return catalogue;
}

absl::Status AutoPrune::Begin(const std::string& tenant, const v1::BackupPolicy& policy,
                              const std::string& request_id, const Shelf& shelf, int* begun) {
  if (policy.off()) return absl::OkStatus();
  const int last = KeepLastOf(policy);
  const int days = KeepDaysOf(policy);
  if (!shelf.has_left_snapshots && PrunePlan(shelf.backups, clock_->Now(), last, days).empty()) {
    return absl::OkStatus();
  }
  v1::PruneBackupsRequest request;
  request.set_tenant(absl::StrCat("tenants/", tenant));
  request.set_keep_last(last);
  request.set_keep_days(days);
  request.set_request_id(request_id);
  const auto response = backups_->Prune(kScheduleCaller, request);
  // The policy has changed since that was asked for.
  if (absl::IsAlreadyExists(response.status())) return absl::OkStatus();
  MTP_RETURN_IF_ERROR(response.status());
  if (response->has_operation()) ++*begun;
  return absl::OkStatus();
}

}  // namespace mtp
