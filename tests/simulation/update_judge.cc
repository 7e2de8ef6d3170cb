#include "tests/simulation/update_judge.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "controller/backups/kinds.h"
#include "controller/operations/progress.h"
#include "controller/tenants/agent_steps.h"

namespace mtp::simulation {
namespace {

// The rollout that has begun the operation; empty when none has.
std::string RolloutOf(const v1::Operation& operation) {
  absl::string_view caller = operation.created_by();
  return absl::ConsumePrefix(&caller, "rollout/") ? std::string(caller) : "";
}

std::string TenantOf(const v1::Operation& operation) {
  return std::string(absl::StripPrefix(operation.target(), "tenants/"));
}

// Operations that may change a tenant where it is.
bool MayTouch(const std::string& kind) {
  static const auto* const kinds = new std::set<std::string>{
      "provision", "remove", "start", "stop", "restart", "restore", "update", "set", "reconfigure"};
  return kinds->count(kind) > 0;
}

}  // namespace

void UpdateJudge::OnAction(const std::string& id, const state::v1::OperationRecord& record,
                           const v1::EnsureActionRequest& request, const TenantView& before,
                           const TenantView& after) {
  const v1::Operation& operation = record.operation();
  const bool touched = !SameButWords(before, after);
  const std::string what = absl::StrCat(request.key(), ", of a ", operation.kind(), ",");
  if (touched && (!MayTouch(operation.kind()) || TenantOf(operation) != request.tenant())) {
    judge_->Violation(absl::StrCat(what, " changes the tenant ", request.tenant()));
  }
  if (operation.kind() == "set") {
    TenantView limited = after;
    if (limited.container && before.container) {
      limited.container->limit_mib = before.container->limit_mib;
    }
    if (!SameButWords(before, limited)) {
      judge_->Violation(absl::StrCat(what, " changes more of ", request.tenant(), " than limits"));
    }
  }
  if (operation.kind() == "reconfigure" && before.container && after.container &&
      (before.container->image != after.container->image ||
       before.container->limit_mib != after.container->limit_mib)) {
    judge_->Violation(absl::StrCat(what, " changes image or limit of ", request.tenant()));
  }
  const std::string rollout = RolloutOf(operation);
  if (touched && !rollout.empty() && operation.kind() != "update") {
    judge_->Violation(absl::StrCat(what, " touches a tenant that its rollout did not reach"));
  }
  if (operation.kind() != "update" || request.tenant().empty()) return;
  Update& update = updates_[id];
  if (!update.found) update.found = before;
  if (!update.stopped && request.has_stop()) update.stopped = after;
  if (rollout.empty() || !after.container) return;
  if (engines_->FlawOf(after.container->image) == Flaw::kNone) return;
  Rollout& parent = rollouts_[rollout];
  parent.harmed.insert(request.tenant());
  if (static_cast<int>(parent.harmed.size()) > parent.canary) {
    judge_->Violation(absl::StrCat("a bad image ran on ", parent.harmed.size(),
                                   " tenants of rollout ", rollout, ", whose canary has ",
                                   parent.canary));
  }
}

void UpdateJudge::OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                              const state::v1::OperationRecord& after) {
  const v1::Operation& operation = after.operation();
  const bool ends = operations::HasEnded(operation) &&
                    (before == nullptr || !operations::HasEnded(before->operation()));
  if (operation.kind() == "rollout" && before == nullptr) {
    const v1::RolloutSettings& settings = asked_[operation.request_id()];
    rollouts_[id].canary = std::max(1, settings.canary());
    rollouts_[id].at_once = std::max(1, settings.max_unavailable());
  }
  if (operation.kind() == "rollout" && ends) {
    Rollout& rollout = rollouts_[id];
    rollout.ended = true;
    if (!rollout.going_on.empty()) {
      judge_->Violation(absl::StrCat("rollout ", id, " ends while its updates go on"));
    }
  }
  if (operation.kind() != "update") return;
  if (before == nullptr) OnUpdateBegins(id, operation);
  if (ends) OnUpdateEnds(id, after);
}

void UpdateJudge::OnUpdateBegins(const std::string& id, const v1::Operation& update) {
  const std::string name = RolloutOf(update);
  if (name.empty()) return;
  Rollout& rollout = rollouts_[name];
  const std::string what = absl::StrCat("the update of ", update.target(), " by rollout ", name);
  if (rollout.failed) judge_->Violation(absl::StrCat(what, " begins after another one failed"));
  if (rollout.paused) judge_->Violation(absl::StrCat(what, " begins while it is paused"));
  if (rollout.ended) judge_->Violation(absl::StrCat(what, " begins after its end"));
  rollout.going_on.insert(id);
  if (static_cast<int>(rollout.going_on.size()) > rollout.at_once) {
    judge_->Violation(absl::StrCat(what, " makes ", rollout.going_on.size(),
                                   " at once, and it may be ", rollout.at_once));
  }
}

void UpdateJudge::OnUpdateEnds(const std::string& id, const state::v1::OperationRecord& record) {
  const v1::Operation& operation = record.operation();
  const bool succeeded = operation.state() == v1::OPERATION_STATE_SUCCEEDED;
  if (const std::string name = RolloutOf(operation); !name.empty()) {
    rollouts_[name].going_on.erase(id);
    if (!succeeded) rollouts_[name].failed = true;
  }
  const Update update = updates_[id];
  const TenantView now = engines_->View(operation.host(), TenantOf(operation));
  if (now.container && engines_->FlawOf(now.container->image) != Flaw::kNone) {
    judge_->Violation(absl::StrCat("update ", id, " leaves ", operation.target(),
                                   " on a bad image: ", ImageId(now.container->image)));
  }
  if (succeeded) {
    CheckUpdated(id, record, update, now);
  } else if (update.stopped) {
    ++brought_back_;
    CheckBroughtBack(id, update, now);
  }
}

void UpdateJudge::CheckUpdated(const std::string& id, const state::v1::OperationRecord& record,
                               const Update& update, const TenantView& now) {
  const int to = ImageNumber(FactOf(record, kToImageFact));
  if (!now.Runs() || now.container->image != to) {
    judge_->Violation(absl::StrCat("update ", id, " succeeded and the new image does not run"));
  }
  if (!update.stopped || !update.stopped->data || !now.data ||
      now.data->born != update.stopped->data->born || now.data->said < update.stopped->data->said ||
      now.data->format < to) {
    judge_->Violation(absl::StrCat("update ", id, " succeeded without the tenant's state"));
  }
}

// The old image with the state as it was when the tenant was stopped.
void UpdateJudge::CheckBroughtBack(const std::string& id, const Update& update,
                                   const TenantView& now) {
  const TenantView& found = *update.found;
  if (!now.container || !found.container || now.container->image != found.container->image) {
    judge_->Violation(absl::StrCat("update ", id, " was undone and left another image"));
  }
  if (!now.Runs())
    judge_->Violation(absl::StrCat("update ", id, " was undone and left it stopped"));
  // State that was restored from a backup and has not run yet is migrated by the old image, too.
  const auto is_its_format = [&](const TenantData& data) {
    return data.format == update.stopped->data->format ||
           (data.format > update.stopped->data->format && found.container &&
            data.format == found.container->image);
  };
  if (!now.data || !update.stopped->data || now.data->born != update.stopped->data->born ||
      !is_its_format(*now.data) || now.data->said < update.stopped->data->said) {
    judge_->Violation(absl::StrCat("update ", id, " was undone and left another state"));
  }
}

}  // namespace mtp::simulation
