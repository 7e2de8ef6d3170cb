// One action as small idempotent phases. A script may be begun anew from its first phase at any
// time (the agent was killed): phases that were done find that out by looking, and do nothing.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/process/subprocess.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// What a phase may use of its action.
struct PhaseContext {
  // Both say that the action should end early.
  const CancelToken* cancel = nullptr;
  std::stop_token stop;
  // Carries on with an action whose phase waits (PhaseResult::WhenWoken). May be called by any
  // thread at any time, also before the phase has returned and after the action's end.
  std::function<void()> wake;
  // Shows one line to people; never a secret.
  std::function<void(std::string message)> progress;
  // The action's facts; SaveResult makes them survive the agent.
  google::protobuf::Map<std::string, std::string>* result = nullptr;
  std::function<absl::Status()> save_result;
};

struct PhaseResult {
  enum class Kind { kDone, kAgain, kFailed };
  Kind kind = Kind::kDone;
  absl::Duration delay;
  absl::Status status;

  static PhaseResult Done() { return {Kind::kDone, absl::ZeroDuration(), absl::OkStatus()}; }
  static PhaseResult Again(absl::Duration delay) { return {Kind::kAgain, delay, absl::OkStatus()}; }
  // Again once PhaseContext::wake is called.
  static PhaseResult WhenWoken() { return Again(absl::InfiniteDuration()); }
  static PhaseResult Failed(absl::Status status) {
    return {Kind::kFailed, absl::ZeroDuration(), std::move(status)};
  }
  // Done or failed.
  static PhaseResult Of(absl::Status status) {
    return status.ok() ? Done() : Failed(std::move(status));
  }
};

class ActionScript {
 public:
  virtual ~ActionScript() = default;

  // Carries out the next piece of work. kDone ends the action. A phase that finds the engine away
  // (UNAVAILABLE) is tried again, for five minutes in all. One caller at a time.
  PhaseResult Step(PhaseContext& context);
  // How many phases there are, and how many of them this object has seen done.
  size_t Phases() const { return phases_.size(); }
  size_t PhasesDone() const { return next_; }
  // The line shown when all is done.
  virtual std::string DoneMessage() const = 0;

 protected:
  using Phase = std::function<PhaseResult(PhaseContext&)>;
  // Called in the constructor, in order.
  void Add(Phase phase) { phases_.push_back(std::move(phase)); }

 private:
  std::vector<Phase> phases_;
  size_t next_ = 0;
  int retries_ = 0;
};

}  // namespace mtp
