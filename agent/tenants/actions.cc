#include "agent/tenants/actions.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"

namespace mtp {
namespace {

constexpr absl::Duration kJournalRetry = absl::Seconds(5);
constexpr int kTrimEvery = 100;

bool IsRecovery(const state::v1::AgentActionRecord& record) {
  return absl::StartsWith(record.action().key(), kRecoveryKeyPrefix);
}

std::string KindOf(const v1::EnsureActionRequest& request) {
  const auto* field = v1::EnsureActionRequest::descriptor()->FindFieldByNumber(
      static_cast<int>(request.action_case()));
  return field == nullptr ? "unknown" : field->name();
}

// The tenant; an action about the host itself has a place of its own, its key, which has a slash
// and so is never a tenant's name.
const std::string& SlotOf(const v1::EnsureActionRequest& request) {
  return request.tenant().empty() ? request.key() : request.tenant();
}

bool Starts(const v1::EnsureActionRequest& request) {
  return request.has_apply() || request.has_start() || request.has_restart() ||
         (request.has_reconfigure() &&
          request.reconfigure().spec().run_policy() != v1::RUN_POLICY_STOP);
}

}  // namespace

Actions::Actions(ActionsDeps deps) : deps_(std::move(deps)) {}

absl::StatusOr<v1::Action> Actions::Ensure(const v1::EnsureActionRequest& request) {
  MTP_RETURN_IF_ERROR(deps_.check_request(request));
  const std::string hash = RequestHash(request);
  std::shared_ptr<Run> run;
  v1::Action action;
  {
    absl::MutexLock lock(&mutex_);
    auto known = deps_.journal->Action(request.key());
    if (known.ok()) {
      if (known->request_hash() != hash) {
        return absl::InvalidArgumentError(
            absl::StrCat("action ", request.key(), " exists and is another one"));
      }
      auto current = running_.find(SlotOf(request));
      if (current != running_.end() && current->second->record.action().key() == request.key()) {
        return current->second->record.action();
      }
      return known->action();
    }
    if (!absl::IsNotFound(known.status())) return known.status();
    if (stopping_) return absl::UnavailableError("the agent is ending");
    auto other = running_.find(SlotOf(request));
    std::shared_ptr<Run> recovery;
    if (other != running_.end() && IsRecovery(other->second->record) &&
        !absl::StartsWith(request.key(), kRecoveryKeyPrefix)) {
      recovery = other->second;
      Interrupt(recovery);
    } else if (other != running_.end()) {
      return absl::AbortedError(absl::StrCat("another action on tenant ", request.tenant(),
                                             " is going on (",
                                             KindOf(other->second->record.request()), ")"));
    }
    state::v1::AgentActionRecord record;
    *record.mutable_request() = WithoutSecrets(request);
    record.set_request_hash(hash);
    v1::Action& begun = *record.mutable_action();
    begun.set_key(request.key());
    begun.set_tenant(request.tenant());
    begun.set_state(v1::ACTION_STATE_RUNNING);
    begun.set_message("begun");
    *begun.mutable_start_time() = ToTimestamp(deps_.clock->Now());
    Failpoint("before-persist", request.key(), "begin");
    MTP_RETURN_IF_ERROR(deps_.journal->BeginAction(record, request));
    Failpoint("after-persist", request.key(), "begin");
    run = Begin(std::move(record));
    if (recovery != nullptr) {
      recovery->then = run;
    } else {
      AdvanceAfter(run, absl::ZeroDuration());
    }
    action = run->record.action();
  }
  deps_.log.Info(absl::StrCat(KindOf(request), " ", request.tenant(), " begins (", request.key(),
                              ", epoch ", request.epoch(), ")"));
  deps_.on_change(action);
  return action;
}

std::shared_ptr<Actions::Run> Actions::Begin(state::v1::AgentActionRecord record) {
  auto run = std::make_shared<Run>();
  run->script = deps_.new_script(record.request());
  run->record = std::move(record);
  running_[SlotOf(run->record.request())] = run;
  return run;
}

absl::StatusOr<v1::Action> Actions::Cancel(const std::string& key) {
  absl::MutexLock lock(&mutex_);
  for (auto& [tenant, run] : running_) {
    if (run->record.action().key() != key) continue;
    Interrupt(run);
    return run->record.action();
  }
  auto known = deps_.journal->Action(key);
  if (absl::IsNotFound(known.status())) {
    return absl::NotFoundError(absl::StrCat("there is no action ", key));
  }
  if (!known.ok()) return known.status();
  return known->action();
}

void Actions::Interrupt(const std::shared_ptr<Run>& run) {
  run->cancel_requested = true;
  run->cancel.Cancel();
  run->stop.request_stop();
  Wake(run);
}

void Actions::Wake(const std::shared_ptr<Run>& run) {
  run->woken = true;
  if (run->waits) AdvanceAfter(run, absl::ZeroDuration());
}

void Actions::AdvanceAfter(const std::shared_ptr<Run>& run, absl::Duration delay) {
  if (stopping_) return;
  const uint64_t turn = ++run->turn;
  run->waits = delay > absl::ZeroDuration() && !run->woken;
  auto advance = [this, run, turn] { Advance(run, turn); };
  if (!run->waits) {
    deps_.executor->Post(std::move(advance));
  } else if (delay < absl::InfiniteDuration()) {
    deps_.executor->PostAfter(delay, std::move(advance));
  }
}

absl::Status Actions::Resume() {
  MTP_ASSIGN_OR_RETURN(const auto records, deps_.journal->Actions());
  std::vector<std::shared_ptr<Run>> resumed;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& record : records) {
      if (record.action().state() != v1::ACTION_STATE_RUNNING) continue;
      state::v1::AgentActionRecord again = record;
      again.mutable_action()->set_message("resumed after a restart of the agent");
      resumed.push_back(Begin(std::move(again)));
    }
  }
  for (const auto& run : resumed) {
    deps_.log.Info(absl::StrCat(KindOf(run->record.request()), " ", run->record.request().tenant(),
                                " goes on (", run->record.action().key(), ")"));
    deps_.on_change(run->record.action());
    absl::MutexLock lock(&mutex_);
    AdvanceAfter(run, absl::ZeroDuration());
  }
  return deps_.journal->TrimActions(deps_.clock->Now());
}

void Actions::Stop() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (auto& [tenant, run] : running_) {
    run->cancel.Cancel();
    run->stop.request_stop();
  }
}

bool Actions::IsBusy(const std::string& tenant) const {
  absl::MutexLock lock(&mutex_);
  return running_.count(tenant) > 0;
}

bool Actions::IsStarting(const std::string& tenant) const {
  absl::MutexLock lock(&mutex_);
  auto found = running_.find(tenant);
  return found != running_.end() && Starts(found->second->record.request());
}

v1::Action Actions::Copy(const Run& run) const {
  absl::MutexLock lock(&mutex_);
  return run.record.action();
}

PhaseContext Actions::ContextFor(const std::shared_ptr<Run>& run) {
  PhaseContext context;
  context.cancel = &run->cancel;
  context.stop = run->stop.get_token();
  context.progress = [this, run](std::string message) {
    {
      absl::MutexLock lock(&mutex_);
      if (run->record.action().message() == message) return;
      run->record.mutable_action()->set_message(std::move(message));
    }
    deps_.on_change(Copy(*run));
  };
  // Kept by what it waits for, which the action's script holds.
  context.wake = [this, waiting = std::weak_ptr<Run>(run)] {
    const std::shared_ptr<Run> run = waiting.lock();
    if (run == nullptr) return;
    absl::MutexLock lock(&mutex_);
    Wake(run);
  };
  return context;
}

void Actions::Advance(const std::shared_ptr<Run>& run, uint64_t turn) {
  PhaseContext context = ContextFor(run);
  google::protobuf::Map<std::string, std::string> result;
  bool cancelled = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || turn != run->turn) return;
    run->waits = false;
    run->woken = false;
    cancelled = run->cancel_requested;
    result = run->record.action().result();
  }
  if (cancelled) {
    return End(run, v1::ACTION_STATE_CANCELLED, absl::CancelledError("cancelled on request"));
  }
  auto take_over = [&] {
    absl::MutexLock lock(&mutex_);
    *run->record.mutable_action()->mutable_result() = result;
  };
  context.result = &result;
  context.save_result = [&] {
    take_over();
    state::v1::AgentActionRecord record;
    {
      absl::MutexLock lock(&mutex_);
      record = run->record;
    }
    Failpoint("before-persist", record.action().key(), "save");
    const absl::Status saved = deps_.journal->SaveAction(record);
    Failpoint("after-persist", record.action().key(), "save");
    return saved;
  };
  const size_t phases_done = run->script == nullptr ? 0 : run->script->PhasesDone();
  const PhaseResult step =
      run->script == nullptr
          ? PhaseResult::Failed(absl::UnimplementedError(
                "an agent of another version began this action, and this one does not know it. "
                "Bring the agent to the controller's version"))
          : run->script->Step(context);
  take_over();
  if (run->script != nullptr && run->script->PhasesDone() > phases_done) {
    Failpoint("after-phase", run->record.action().key(), run->script->PhasesDone());
  }
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    cancelled = run->cancel_requested;
  }
  switch (step.kind) {
    case PhaseResult::Kind::kDone:
      return End(run, v1::ACTION_STATE_DONE, absl::OkStatus());
    case PhaseResult::Kind::kFailed:
      if (cancelled) {
        return End(run, v1::ACTION_STATE_CANCELLED, absl::CancelledError("cancelled on request"));
      }
      return End(run, v1::ACTION_STATE_FAILED, step.status);
    case PhaseResult::Kind::kAgain: {
      absl::MutexLock lock(&mutex_);
      AdvanceAfter(run, step.delay);
      return;
    }
  }
}

void Actions::End(const std::shared_ptr<Run>& run, v1::ActionState state,
                  const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    v1::Action& action = *run->record.mutable_action();
    action.set_state(state);
    *action.mutable_end_time() = ToTimestamp(deps_.clock->Now());
    if (status.ok()) {
      action.set_message(run->script->DoneMessage());
    } else {
      action.set_message(std::string(status.message()));
      *action.mutable_error() = ToError(status);
    }
  }
  // What the script holds (a start slot) is free before anyone hears of the end.
  run->script.reset();
  RecordEnd(run);
}

void Actions::RecordEnd(const std::shared_ptr<Run>& run) {
  // Nobody changes the record of an action that has ended.
  const std::string& key = run->record.action().key();
  Failpoint("before-persist", key, "end");
  const absl::Status recorded = deps_.journal->EndAction(run->record);
  Failpoint("after-persist", key, "end");
  if (!recorded.ok()) {
    // An end that is not on the disk has not happened: the tenant stays busy until it is.
    deps_.log.Error(absl::StrCat("the end of ", key, " cannot be journaled: ", recorded.message()));
    deps_.executor->PostAfter(kJournalRetry, [this, run] { RecordEnd(run); });
    return;
  }
  const v1::Action action = run->record.action();
  bool trim = false;
  {
    absl::MutexLock lock(&mutex_);
    auto current = running_.find(SlotOf(run->record.request()));
    if (current != running_.end() && current->second == run) running_.erase(current);
    if (run->then != nullptr) AdvanceAfter(std::exchange(run->then, nullptr), absl::ZeroDuration());
    trim = ++ended_ % kTrimEvery == 0;
  }
  deps_.log.Info(absl::StrCat(
      KindOf(run->record.request()), " ", action.tenant(),
      " ended: ", action.state() == v1::ACTION_STATE_DONE ? "" : "failed: ", action.message()));
  deps_.on_change(action);
  if (trim) deps_.journal->TrimActions(deps_.clock->Now()).IgnoreError();
}

void Actions::Failpoint(const char* point, const std::string& key,
                        const absl::AlphaNum& stage) const {
  if (deps_.failpoint) deps_.failpoint(point, absl::StrCat(key, "#", stage));
}

}  // namespace mtp
