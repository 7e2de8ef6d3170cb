// Actions on hosts that nobody waits for any more.
#pragma once

#include <absl/strings/string_view.h>

#include "mtp/v1/operation.pb.h"

namespace mtp {

// Whether the operation that began the action has ended, or has undone the step that did. Such an
// action goes on when its host was away, and so was not told, when it was called off; what it would
// leave (a backup that is in no catalogue) nobody would ever remove. `key`: as Action.key.
bool IsAbandoned(const v1::Operation& operation, absl::string_view key);

}  // namespace mtp
