// Prints what the crash matrix is made of, as JSON, from the code that is run in production:
//
//   {"kinds": [{"name": "provision", "steps": [{"name": "reserve", "undo": true}, …]}, …],
//    "actions": [{"name": "apply", "phases": 6}, …]}
//
// `undo`: it has a compensation. An action's name is that of its field in EnsureActionRequest; one
// that has another script for an optional part of its request is there twice, with `+<part>`.
#include <iostream>
#include <nlohmann/json.hpp>

#include "agent/tenants/scripts.h"
#include "common/base/durations.h"
#include "controller/rollouts/all_kinds.h"

namespace mtp {
namespace {

nlohmann::json Kinds() {
  nlohmann::json kinds = nlohmann::json::array();
  for (const operations::Kind& kind : AllKinds({}, {})) {
    nlohmann::json steps = nlohmann::json::array();
    for (const operations::Step& step : kind.steps) {
      steps.push_back({{"name", step.name}, {"undo", step.compensate != nullptr}});
    }
    kinds.push_back({{"name", kind.name}, {"steps", steps}});
  }
  return kinds;
}

nlohmann::json Row(const std::string& name, const v1::EnsureActionRequest& request) {
  static Slots slots(1);
  static TenantTools tools;
  tools.starts = &slots;
  tools.backups = &slots;
  // Never destroyed: a script that goes tidies up on its host, and here is none.
  static auto* const scripts = new std::vector<std::unique_ptr<ActionScript>>();
  scripts->push_back(NewScript(&tools, request));
  return {{"name", name}, {"phases", scripts->back()->Phases()}};
}

nlohmann::json Actions() {
  nlohmann::json actions = nlohmann::json::array();
  const auto* fields = v1::EnsureActionRequest::descriptor()->FindOneofByName("action");
  for (int i = 0; i < fields->field_count(); ++i) {
    v1::EnsureActionRequest request;
    request.set_key("operation/step");
    request.set_tenant("tenant");
    request.mutable_drill()->mutable_backup()->set_tenant("tenant");
    request.GetReflection()->MutableMessage(&request, fields->field(i));
    actions.push_back(Row(fields->field(i)->name(), request));
    if (request.has_stop()) {
      *request.mutable_stop()->mutable_idle_wait() = ToDuration(absl::Seconds(1));
      actions.push_back(Row("stop+idle_wait", request));
    } else if (request.has_soak()) {
      *request.mutable_soak()->mutable_duration() = ToDuration(absl::Seconds(1));
      actions.push_back(Row("soak+duration", request));
    }
  }
  return actions;
}

}  // namespace
}  // namespace mtp

int main() {
  std::cout << nlohmann::json{{"kinds", mtp::Kinds()}, {"actions", mtp::Actions()}}.dump(1) << "\n";
  return 0;
}
