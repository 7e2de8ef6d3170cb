// The actions of this host: keyed, journaled, fenced by epoch, one at a time per tenant and any
// number about the host itself, resumed after the agent's death (agent.proto: EnsureAction).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/tenants/action_script.h"
#include "agent/tenants/journal.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"

namespace mtp {

// Keys of actions that the agent begins by itself start with it.
inline constexpr char kRecoveryKeyPrefix[] = "recovery/";
// Beginning of the keys of those that park a tenant (park.cc).
inline constexpr char kParkKeyPrefix[] = "recovery/park/";

struct ActionsDeps {
  Journal* journal = nullptr;
  Executor* executor = nullptr;
  const Clock* clock = nullptr;
  Log log = NullLog();
  // Makes the script of a request; null for a kind that is not known.
  std::function<std::unique_ptr<ActionScript>(const v1::EnsureActionRequest&)> new_script;
  // INVALID_ARGUMENT for requests that cannot be carried out.
  std::function<absl::Status(const v1::EnsureActionRequest&)> check_request;
  // Called with each action's news, without locks held. Short, but for its end.
  std::function<void(const v1::Action&)> on_change;
  // Called at named points; a test crashes there. `before-persist` and `after-persist` with
  // `<key>#begin`, `<key>#save` (results that must survive) and `<key>#end`; `after-phase` with
  // `<key>#<number>` when a phase of the script is done, counted from 1. Locks may be held. Null in
  // production unless MTP_FAILPOINT is set.
  std::function<void(const std::string& point, const std::string& key)> failpoint;
};

// Thread-safe. The executor is stopped before it is destroyed.
class Actions {
 public:
  explicit Actions(ActionsDeps deps);

  // As AgentService.EnsureAction. A recovery of the agent's own (kRecoveryKeyPrefix) gives way: it
  // is cancelled, and the action begins when it has ended.
  absl::StatusOr<v1::Action> Ensure(const v1::EnsureActionRequest& request);
  // As AgentService.CancelAction.
  absl::StatusOr<v1::Action> Cancel(const std::string& key);

  // Goes on with what the journal says is running. Call once, before Ensure.
  absl::Status Resume();
  // Interrupts what is running; it stays running in the journal, for the next life.
  void Stop();

  // Whether an action is changing the tenant right now.
  bool IsBusy(const std::string& tenant) const;
  // Whether that action is one that starts it.
  bool IsStarting(const std::string& tenant) const;

 private:
  struct Run {
    state::v1::AgentActionRecord record;
    std::unique_ptr<ActionScript> script;
    CancelToken cancel;
    std::stop_source stop;
    bool cancel_requested = false;
    // Begins when this one, a recovery of the agent's own, has ended.
    std::shared_ptr<Run> then;
    // Counts the calls of Advance; a timer of an earlier one means nothing any more.
    uint64_t turn = 0;
    // Between two calls, for a time or for a wake; else a wake is remembered.
    bool waits = false;
    bool woken = false;
  };

  std::shared_ptr<Run> Begin(state::v1::AgentActionRecord record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Interrupt(const std::shared_ptr<Run>& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends its wait, or has the next one end at once.
  void Wake(const std::shared_ptr<Run>& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has the executor call Advance after `delay`, unless it is infinite.
  void AdvanceAfter(const std::shared_ptr<Run>& run, absl::Duration delay)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One step of one action; runs on the executor and posts the next.
  void Advance(const std::shared_ptr<Run>& run, uint64_t turn);
  PhaseContext ContextFor(const std::shared_ptr<Run>& run);
  void End(const std::shared_ptr<Run>& run, v1::ActionState state, const absl::Status& status);
  void RecordEnd(const std::shared_ptr<Run>& run);
  v1::Action Copy(const Run& run) const;
  void Failpoint(const char* point, const std::string& key, const absl::AlphaNum& stage) const;

  const ActionsDeps deps_;
  mutable absl::Mutex mutex_;
  // By what only one may be about at a time (SlotOf).
  std::map<std::string, std::shared_ptr<Run>> running_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int ended_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace mtp
