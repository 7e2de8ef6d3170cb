#include "agent/tenants/action_script.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

namespace mtp {
namespace {

constexpr absl::Duration kRetryDelay = absl::Seconds(3);
constexpr int kMaxRetries = 100;

// What strerror(ENOSPC) says. Whatever was written to was a disk of this host.
constexpr char kFullDisk[] = "No space left on device";

absl::Status SayWhatToDo(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) || !absl::StrContains(status.message(), kFullDisk)) {
    return status;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(status.message(), "; free some space on this host's disk and try again"));
}

}  // namespace

PhaseResult ActionScript::Step(PhaseContext& context) {
  if (next_ >= phases_.size()) return PhaseResult::Done();
  PhaseResult result = phases_[next_](context);
  if (result.kind == PhaseResult::Kind::kFailed && absl::IsUnavailable(result.status) &&
      retries_ < kMaxRetries) {
    ++retries_;
    context.progress(absl::StrCat(result.status.message(), "; trying again"));
    return PhaseResult::Again(kRetryDelay);
  }
  result.status = SayWhatToDo(result.status);
  if (result.kind != PhaseResult::Kind::kDone) return result;
  ++next_;
  return next_ < phases_.size() ? PhaseResult::Again(absl::ZeroDuration()) : PhaseResult::Done();
}

}  // namespace mtp
