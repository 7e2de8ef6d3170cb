// The words that states have in tables and JSON, beside those of common/base/words.h. A value that
// this build does not know, from a newer controller, is `unknown`.
#pragma once

#include <absl/strings/string_view.h>

#include "cli/output/table.h"
#include "common/base/words.h"
#include "mtp/v1/host.pb.h"
#include "mtp/v1/operation.pb.h"
#include "mtp/v1/rollout.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// `running`, `stopped`, `starting`, `updating`, `moving`, `failed`, `unknown`.
absl::string_view StateName(v1::TenantState state);
// `ready`, `unreachable`, `engine-down`, `joining`, `unknown`.
absl::string_view StateName(v1::HostState state);
// `pending`, `running`, `undoing`, `succeeded`, `failed`, `cancelled`, `unknown`.
absl::string_view StateName(v1::OperationState state);
// `pending`, `running`, `done`, `failed`, `undone`, `unknown`.
absl::string_view StateName(v1::StepState state);
// `running`, `paused`, `aborting`, `succeeded`, `failed`, `aborted`, `unknown`.
absl::string_view StateName(v1::RolloutState state);
// `pending`, `updating`, `updated`, `skipped`, `failed`, `unknown`.
absl::string_view StateName(v1::RolloutTenantState state);

// Colour for any of the words above, and for those of health.
Tone ToneOf(absl::string_view state);

// True once an operation, or a rollout, goes no further.
bool HasEnded(v1::OperationState state);
bool HasEnded(v1::RolloutState state);

}  // namespace mtp::cli
