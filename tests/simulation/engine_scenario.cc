#include "tests/simulation/engine_scenario.h"

namespace mtp::simulation {

std::vector<operations::Kind> EngineScenario::MakeKinds(const StepWorld& steps) {
  std::vector<operations::Kind> kinds;
  for (const KindPlan& plan : kinds_) kinds.push_back(MakeKind(plan, steps));
  return kinds;
}

Scenario::Wish EngineScenario::NewWish() {
  operations::NewOperation request;
  request.kind = kinds_[random_.Below(kinds_.size())].name;
  request.target = absl::StrCat("tenants/t", random_.Below(target_count_));
  request.host = agents_.Hosts()[random_.Below(agents_.Hosts().size())];
  request.created_by = "operator/alice";
  request.request_id = NextRequestId();
  request.request_hash = request.kind + request.target;
  request.locks = {absl::StrCat("/locks/", request.target)};
  return {request.request_id, [this, request] { return controller_->engine().Create(request, {}); },
          [](const absl::Status& status) { return absl::IsFailedPrecondition(status); }};
}

// A planted defect: ended operations are touched again.
void EngineScenario::OnWishAnswered() {
  if (plant_ != Plant::kEndRewritten) return;
  for (const kv::Entry& entry : disk_->List("/operations/")) {
    state::v1::OperationRecord record;
    record.ParseFromString(entry.value);
    if (!record.operation().has_end_time()) continue;
    record.mutable_operation()->set_message("touched");
    (void)disk_->Commit(kv::Txn().Put(entry.key, record.SerializeAsString()));
  }
}

}  // namespace mtp::simulation
