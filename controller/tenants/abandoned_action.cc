#include "controller/tenants/abandoned_action.h"

#include <absl/strings/str_split.h>

#include <algorithm>
#include <string>
#include <vector>

#include "controller/operations/progress.h"

namespace mtp {

bool IsAbandoned(const v1::Operation& operation, absl::string_view key) {
  if (operations::HasEnded(operation)) return true;
  // `<ULID>/<step>`, then `/undo` of a compensation, or what tells several actions of a step apart.
  const std::vector<absl::string_view> parts = absl::StrSplit(key, '/');
  if (parts.size() < 2 || (parts.size() > 2 && parts[2] == "undo")) return false;
  return std::any_of(operation.steps().begin(), operation.steps().end(), [&](const auto& step) {
    return step.name() == parts[1] && step.state() == v1::STEP_STATE_UNDONE;
  });
}

}  // namespace mtp
