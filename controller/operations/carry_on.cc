// How one operation is carried on: which step runs when, and what of it is made durable.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/base/canonical_bytes.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "controller/operations/backoff.h"
#include "controller/operations/core.h"
#include "controller/operations/keys.h"

namespace mtp::operations {
namespace {

constexpr absl::Duration kMinWait = absl::Milliseconds(10);
constexpr absl::Duration kMaxWait = absl::Minutes(10);
// Conflicts in a row after which a step takes a pause like after any other fault.
constexpr int kMaxConflicts = 10;

}  // namespace

void Core::Enqueue(Live& live) {
  live.phase = Phase::kQueued;
  ++live.timer;  // a timer that is still to come is out of date
  executor_->Post([core = shared_from_this(), id = live.id] { core->Run(id); });
}

void Core::StartTimer(Live& live, absl::Duration delay) {
  const uint64_t timer = ++live.timer;
  executor_->PostAfter(
      delay, [core = shared_from_this(), id = live.id, timer] { core->OnTimer(id, timer); });
}

void Core::OnTimer(const std::string& id, uint64_t timer) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = live_.find(id);
    if (stopped_ || found == live_.end() || found->second->timer != timer) return;
    found->second->phase = Phase::kQueued;
  }
  Run(id);
}

void Core::Run(const std::string& id) {
  std::shared_ptr<Live> live;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = live_.find(id);
    if (stopped_ || found == live_.end() || found->second->phase != Phase::kQueued) return;
    live = found->second;
    live->phase = Phase::kRunning;
    // Before anything is looked at: what comes from now on leads to another look.
    live->woken = false;
    live->cancelled = false;
    ++running_;
  }
  const Pace pace = Advance(*live);
  absl::MutexLock lock(&mutex_);
  --running_;
  Settle(*live, pace);
}

void Core::Settle(Live& live, const Pace& pace) {
  if (pace.kind == Pace::Kind::kEnded) {
    live_.erase(live.id);
    return;
  }
  if (stopped_) return;
  const bool now = pace.kind == Pace::Kind::kAgain || live.cancelled ||
                   (pace.kind == Pace::Kind::kWait && live.woken);
  if (now) {
    Enqueue(live);
    return;
  }
  live.phase = pace.kind == Pace::Kind::kWait ? Phase::kWaiting : Phase::kBackoff;
  StartTimer(live, pace.delay);
}

Core::Pace Core::Advance(Live& live) {
  if (absl::IsNotFound(store_->Get(OperationKey(live.id)).status())) return Drop(live);
  if (live.unsaved.has_value()) return SaveOutcome(live);
  const auto record = RecordOf(live);
  if (HasEnded(record->operation())) return {Pace::Kind::kEnded, {}};
  switch (NextOf(*record, *live.kind)) {
    case Next::kBeginStep:
      if (!live.begun) {
        const Pace pace = PersistSimply(
            live, "begin", [this](OperationRecord& next) { BeginStep(next, clock_->Now()); });
        if (pace.kind != Pace::Kind::kAgain) return pace;
        live.begun = true;
        // A reload or a cancel request may have changed what comes next.
        if (NextOf(*RecordOf(live), *live.kind) != Next::kBeginStep) return pace;
      }
      return RunStep(live, /*undo=*/false);
    case Next::kTurnBack:
      return PersistSimply(live, "turn-back", [](OperationRecord& next) { TurnBack(next); });
    case Next::kUndoStep:
      return RunStep(live, /*undo=*/true);
    case Next::kSkipUndo:
      return PersistSimply(live, "skip", [&live](OperationRecord& next) {
        while (NextOf(next, *live.kind) == Next::kSkipUndo) SkipUndo(next);
      });
    case Next::kEnd:
      return EndOperation(live);
  }
  return {Pace::Kind::kAgain, {}};
}

Core::Pace Core::RunStep(Live& live, bool undo) {
  const auto record = RecordOf(live);
  const Step& step = live.kind->steps[record->step()];
  StepContext context(*record, StepKey(live, *record, undo));
  Failpoint("before-step", live, context.key());
  StepResult result = undo ? step.compensate(context) : step.run(context);
  Failpoint("after-step", live, context.key());
  live.unsaved = Outcome{std::move(result), undo, context.new_facts(), context.new_results(),
                         std::move(context.txn())};
  return SaveOutcome(live);
}

Core::Pace Core::SaveOutcome(Live& live) {
  const Outcome& outcome = *live.unsaved;
  const StepResult& result = outcome.result;
  Saved saved = Saved::kYes;
  switch (result.kind) {
    case StepResult::Kind::kDone:
      saved = Persist(live, "done", outcome.txn, [&](OperationRecord& next) {
        AddFacts(next, outcome.facts, outcome.results);
        if (outcome.undo) {
          AddNote(next, result.note);
          FinishUndo(next, absl::OkStatus(), clock_->Now());
          return;
        }
        FinishStep(next, result.message, clock_->Now());
        // The next step's begin becomes durable with this one's end: one write instead of two.
        if (NextOf(next, *live.kind) == Next::kBeginStep) BeginStep(next, clock_->Now());
      });
      break;
    case StepResult::Kind::kWait: {
      const auto change = [&](OperationRecord& next) {
        AddFacts(next, outcome.facts, outcome.results);
        NoteWait(next, result.message);
      };
      // Looking again and finding nothing new costs no write.
      const auto before = RecordOf(live);
      OperationRecord after = *before;
      change(after);
      const bool news = CanonicalBytes(*before) != CanonicalBytes(after);
      if (news) saved = Persist(live, "wait", {}, change);
      break;
    }
    case StepResult::Kind::kRetry: {
      const absl::Duration delay =
          Backoff(RecordOf(live)->retries(), options_.min_backoff, options_.max_backoff, *random_);
      live.unsaved->result.delay = delay;
      saved = Persist(live, "retry", {}, [&](OperationRecord& next) {
        NoteRetry(next, result.status, delay, clock_->Now());
      });
      break;
    }
    case StepResult::Kind::kFail:
      saved = Persist(live, "fail", {}, [&](OperationRecord& next) {
        if (outcome.undo) {
          FinishUndo(next, result.status, clock_->Now());
        } else {
          FailStep(next, result.status, clock_->Now());
        }
      });
      break;
  }
  switch (saved) {
    case Saved::kYes:
      return AfterOutcome(live);
    case Saved::kConflict:
      return OnConflict(live);
    case Saved::kReloaded:
      live.unsaved.reset();
      live.begun = false;
      return {Pace::Kind::kAgain, {}};
    case Saved::kInvalid:
      // A fault of the step's code that no attempt can mend.
      live.unsaved->txn = {};
      live.unsaved->result =
          StepResult::Fail(absl::InternalError("the step's changes are beyond the store's limits"));
      return {Pace::Kind::kAgain, {}};
    case Saved::kFailed:
      return PersistBackoff(live);
  }
  return PersistBackoff(live);
}

Core::Pace Core::AfterOutcome(Live& live) {
  const Outcome outcome = std::move(*live.unsaved);
  live.unsaved.reset();
  live.conflicts = 0;
  switch (outcome.result.kind) {
    case StepResult::Kind::kDone: {
      const auto record = RecordOf(live);
      live.begun = !IsUndoing(*record) && record->step() < record->operation().steps_size() &&
                   record->operation().steps(record->step()).state() == v1::STEP_STATE_RUNNING;
      return {Pace::Kind::kAgain, {}};
    }
    case StepResult::Kind::kWait:
      return {Pace::Kind::kWait, std::clamp(outcome.result.delay, kMinWait, kMaxWait)};
    case StepResult::Kind::kRetry:
      live.begun = false;
      return {Pace::Kind::kBackoff, outcome.result.delay};
    case StepResult::Kind::kFail:
      return {Pace::Kind::kAgain, {}};
  }
  return {Pace::Kind::kAgain, {}};
}

Core::Pace Core::OnConflict(Live& live) {
  if (live.unsaved->txn.compares.empty()) return PersistBackoff(live);  // as in PersistSimply
  // The step decided on something that has changed since: it decides anew.
  if (++live.conflicts <= kMaxConflicts) {
    live.unsaved.reset();
    return {Pace::Kind::kAgain, {}};
  }
  live.conflicts = 0;
  live.unsaved->txn = {};
  live.unsaved->result =
      StepResult::Retry(absl::AbortedError("others keep changing the same state"));
  return {Pace::Kind::kAgain, {}};
}

Core::Pace Core::EndOperation(Live& live) {
  OperationRecord ended = *RecordOf(live);
  End(ended, clock_->Now());
  kv::Txn txn;
  ReleaseLocks(ended, txn);
  if (live.kind->on_end) live.kind->on_end(ended, txn);
  switch (Persist(live, "end", std::move(txn),
                  [this](OperationRecord& next) { End(next, clock_->Now()); })) {
    case Saved::kYes:
      retention_.Add(live.id, FromTimestamp(RecordOf(live)->operation().end_time()));
      if (!ended.lender().empty()) Wake(ended.lender());
      return {Pace::Kind::kEnded, {}};
    case Saved::kConflict:
      if (++live.conflicts <= kMaxConflicts) return {Pace::Kind::kAgain, {}};
      live.conflicts = 0;
      return PersistBackoff(live);
    case Saved::kReloaded:
      return {Pace::Kind::kAgain, {}};
    case Saved::kInvalid:
    case Saved::kFailed:
      return PersistBackoff(live);
  }
  return PersistBackoff(live);
}

Core::Pace Core::Drop(Live& live) {
  kv::Txn txn;
  ReleaseLocks(*RecordOf(live), txn);
  // Nobody else would ever release them.
  if (!(txn.puts.empty() && txn.deletes.empty()) && !store_->Commit(txn).ok()) {
    return PersistBackoff(live);
  }
  if (options_.on_drop) options_.on_drop(live.id);
  return {Pace::Kind::kEnded, {}};
}

Core::Pace Core::PersistBackoff(Live& live) {
  return {Pace::Kind::kBackoff,
          Backoff(live.persist_failures++, options_.min_backoff, options_.max_backoff, *random_)};
}

template <typename Change>
Core::Pace Core::PersistSimply(Live& live, const char* stage, Change change) {
  const Saved saved = Persist(live, stage, {}, change);
  // A conflict without changes of a step means that the record itself is gone: the next look drops
  // the operation.
  const bool on = saved == Saved::kYes || saved == Saved::kReloaded;
  return on ? Pace{Pace::Kind::kAgain, {}} : PersistBackoff(live);
}

template <typename Change>
Core::Saved Core::Persist(Live& live, const char* stage, kv::Txn txn, Change change) {
  const std::string key =
      absl::StrCat(StepKey(live, *RecordOf(live), live.unsaved && live.unsaved->undo), "#", stage);
  Failpoint("before-persist", live, key);
  absl::Status status;
  {
    absl::MutexLock lock(&live.record_mutex);
    OperationRecord next = *live.record;
    change(next);
    *next.mutable_operation()->mutable_update_time() = ToTimestamp(clock_->Now());
    txn.RequireRevision(OperationKey(live.id), live.revision);
    txn.Put(OperationKey(live.id), next.SerializeAsString());
    const auto revision = store_->Commit(txn);
    if (revision.ok()) {
      live.record = std::make_shared<const OperationRecord>(std::move(next));
      live.revision = *revision;
      live.persist_failures = 0;
    } else if (absl::IsAborted(revision.status())) {
      return Reload(live) ? Saved::kReloaded : Saved::kConflict;
    }
    status = revision.status();
  }
  if (!status.ok() && options_.on_persist_failure) options_.on_persist_failure(live.id, status);
  Failpoint("after-persist", live, key);
  if (status.ok()) return Saved::kYes;
  return absl::IsInvalidArgument(status) ? Saved::kInvalid : Saved::kFailed;
}

bool Core::Reload(Live& live) {
  const auto entry = store_->Get(OperationKey(live.id));
  if (!entry.ok() || entry->mod_revision == live.revision) return false;
  OperationRecord record;
  if (!record.ParseFromString(entry->value)) return false;
  // An earlier commit took effect although it reported a fault.
  live.record = std::make_shared<const OperationRecord>(std::move(record));
  live.revision = entry->mod_revision;
  return true;
}

std::shared_ptr<const OperationRecord> Core::RecordOf(Live& live) const {
  absl::MutexLock lock(&live.record_mutex);
  return live.record;
}

std::string Core::StepKey(const Live& live, const OperationRecord& record, bool undo) const {
  const bool within = record.step() >= 0 && record.step() < record.operation().steps_size();
  return absl::StrCat(live.id, "/", within ? record.operation().steps(record.step()).name() : "end",
                      undo ? "/undo" : "");
}

void Core::Failpoint(const char* point, const Live& live, const std::string& key) const {
  if (options_.failpoint) options_.failpoint(point, absl::StrCat(live.kind->name, "/", key));
}

}  // namespace mtp::operations
