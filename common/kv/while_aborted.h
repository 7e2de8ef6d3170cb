// Deciding anew while others change what was read.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace mtp::kv {

inline constexpr int kMaxAttempts = 16;

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// What `attempt` answers, which reads the store, decides, and commits: it is called again, at most
// 16 times in all, while its answer is ABORTED since something that it has read changed meanwhile.
template <typename Attempt>
auto WhileAborted(Attempt attempt) {
  auto result = attempt();
  for (int made = 1; made < kMaxAttempts && absl::IsAborted(StatusOf(result)); ++made) {
    result = attempt();
  }
  return result;
}

}  // namespace mtp::kv
