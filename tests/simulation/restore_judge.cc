#include "tests/simulation/restore_judge.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "controller/backups/kinds.h"
#include "controller/operations/progress.h"

namespace mtp::simulation {
namespace {

bool HasFact(const state::v1::OperationRecord& record, const char* name) {
  const auto fact = record.facts().find(name);
  return fact != record.facts().end() && fact->second == "true";
}

// The same data, with which its tenant may have gone on.
bool GoesOnWith(const TenantData& data, const TenantData& from) {
  return data.born == from.born && data.format >= from.format && data.said >= from.said;
}

}  // namespace

void RestoreJudge::OnAction(const std::string& id, const state::v1::OperationRecord& record,
                            const v1::EnsureActionRequest& request, bool done,
                            const TenantView& before, const TenantView& after) {
  const std::string& kind = record.operation().kind();
  if (kind == "verify-backup" && request.has_verify() && done) read_.insert(id);
  if (kind != "restore") return;
  Restore& restore = restores_[id];
  if (!restore.found) restore.found = before;
  if (!request.has_restore()) return;
  if (after.Runs()) {
    judge_->Violation(absl::StrCat(request.key(), " changes the data of a tenant that runs"));
  }
  if (!done) return;
  const auto backup = engines_->repository().find(request.restore().backup().backup_id());
  if (backup == engines_->repository().end() || !after.data ||
      after.data->born != backup->second.data.born ||
      after.data->format != backup->second.data.format ||
      after.data->said != backup->second.data.said) {
    judge_->Violation(absl::StrCat(request.key(), " puts other data in place than the backup's"));
  }
  restore.restored = after.data;
}

void RestoreJudge::OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                               const state::v1::OperationRecord& after) {
  const v1::Operation& operation = after.operation();
  if (!operations::HasEnded(operation)) return;
  if (before != nullptr && operations::HasEnded(before->operation())) return;
  const bool succeeded = operation.state() == v1::OPERATION_STATE_SUCCEEDED;
  if (operation.kind() == "verify-backup" && succeeded && read_.count(id) == 0) {
    judge_->Violation(absl::StrCat(id, " says that it verified a backup that nobody has read"));
  }
  if (operation.kind() != "restore") return;
  const std::string tenant(absl::StripPrefix(operation.target(), "tenants/"));
  if (succeeded) {
    OnRestored(id, restores_[id], tenant, after);
  } else {
    OnFailed(id, restores_[id], tenant, after);
  }
}

void RestoreJudge::OnRestored(const std::string& id, const Restore& restore,
                              const std::string& tenant, const state::v1::OperationRecord& record) {
  const TenantView now = engines_->View(record.operation().host(), tenant);
  const std::string what = absl::StrCat("restore ", id, " succeeded and ", tenant);
  if (!restore.restored || !now.data || !GoesOnWith(*now.data, *restore.restored)) {
    judge_->Violation(absl::StrCat(what, " has other data"));
  }
  const bool runs = HasFact(record, kFreshFact) || HasFact(record, kWasRunningFact);
  if (now.Runs() != runs) judge_->Violation(absl::StrCat(what, runs ? " is down" : " runs"));
}

void RestoreJudge::OnFailed(const std::string& id, const Restore& restore,
                            const std::string& tenant, const state::v1::OperationRecord& record) {
  const v1::Operation& operation = record.operation();
  const TenantView now = engines_->View(operation.host(), tenant);
  const std::string what = absl::StrCat("restore ", id, " of ", tenant, " failed and ");
  // Whoever reads the error knows which data is there.
  const bool says = absl::StrContains(operation.error().message(), "stays");
  if (HasFact(record, kFreshFact)) {
    if (now.container) judge_->Violation(absl::StrCat(what, "left a container"));
    if (now.data && !says) judge_->Violation(absl::StrCat(what, "left data without a word"));
    return;
  }
  if (restore.restored) {
    ++kept_in_place_;
    if (!now.data || !GoesOnWith(*now.data, *restore.restored) || !says) {
      judge_->Violation(absl::StrCat(what, "does not say whose data is there"));
    }
    return;
  }
  ++taken_back_;
  if (!restore.found) return;  // It ended before it began.
  if (now.data.has_value() != restore.found->data.has_value() ||
      (now.data && !GoesOnWith(*now.data, *restore.found->data))) {
    judge_->Violation(absl::StrCat(what, "left other data"));
  }
  if (HasFact(record, kWasRunningFact) && !now.Runs()) {
    judge_->Violation(absl::StrCat(what, "left it stopped"));
  }
}

}  // namespace mtp::simulation
