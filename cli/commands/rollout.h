// What `update` and `rollout …` have in common.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

#include "cli/commands/invocation.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp::cli {

// How long a rollout is waited for when nothing else is said.
inline constexpr char kRolloutTimeout[] = "24h";

// Follows the rollout with progress on standard error until it has ended, and returns it then,
// however it ended. After `timeout`: DEADLINE_EXCEEDED with exit code 5.
absl::StatusOr<v1::Rollout> FollowRollout(Invocation& invocation, const v1::Rollout& rollout,
                                          absl::Duration timeout);

// Follows it, prints how it ended, and returns that: an error with exit code 1 unless every tenant
// has the image.
absl::StatusOr<int> ConcludeRollout(Invocation& invocation, const v1::Rollout& rollout,
                                    absl::Duration timeout);

}  // namespace mtp::cli
