#include "controller/operations/progress.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/utf8.h"

namespace mtp::operations {
namespace {

constexpr size_t kMaxMessageBytes = 1000;
constexpr size_t kMaxErrorBytes = 4000;
constexpr size_t kMaxFactBytes = 64 << 10;

v1::OperationStep& CurrentStep(OperationRecord& record) {
  return *record.mutable_operation()->mutable_steps(record.step());
}

void ClearRetries(OperationRecord& record) {
  record.set_retries(0);
  record.clear_not_before();
}

void Show(OperationRecord& record, const std::string& message) {
  const std::string shown = ValidUtf8(message, kMaxMessageBytes);
  CurrentStep(record).set_message(shown);
  record.mutable_operation()->set_message(shown.empty() ? CurrentStep(record).name() : shown);
}

}  // namespace

bool HasEnded(const v1::Operation& operation) {
  return operation.state() == v1::OPERATION_STATE_SUCCEEDED ||
         operation.state() == v1::OPERATION_STATE_FAILED ||
         operation.state() == v1::OPERATION_STATE_CANCELLED;
}

bool IsUndoing(const OperationRecord& record) {
  return record.operation().state() == v1::OPERATION_STATE_COMPENSATING;
}

bool FitsKind(const OperationRecord& record, const Kind& kind) {
  // A newer build may have states that this one has no number for.
  const v1::OperationState state = record.operation().state();
  if (state != v1::OPERATION_STATE_PENDING && state != v1::OPERATION_STATE_RUNNING &&
      !IsUndoing(record)) {
    return false;
  }
  const auto count = static_cast<int>(kind.steps.size());
  if (record.operation().steps_size() != count) return false;
  if (record.step() < (IsUndoing(record) ? -1 : 0)) return false;
  if (record.step() > (IsUndoing(record) ? count - 1 : count)) return false;
  for (int i = 0; i < count; ++i) {
    if (record.operation().steps(i).name() != kind.steps[i].name) return false;
  }
  return true;
}

Next NextOf(const OperationRecord& record, const Kind& kind) {
  const int at = record.step();
  if (IsUndoing(record)) {
    if (at < 0) return Next::kEnd;
    const bool begun = record.operation().steps(at).attempts() > 0;
    return begun && kind.steps[at].compensate ? Next::kUndoStep : Next::kSkipUndo;
  }
  if (at >= static_cast<int>(kind.steps.size())) return Next::kEnd;
  const bool cancel = record.operation().cancel_requested() && kind.steps[at].cancellable;
  return cancel ? Next::kTurnBack : Next::kBeginStep;
}

OperationRecord MakeRecord(const std::string& id, const Kind& kind, const NewOperation& request,
                           absl::Time now) {
  OperationRecord record;
  v1::Operation& operation = *record.mutable_operation();
  operation.set_name(absl::StrCat("operations/", id));
  operation.set_kind(request.kind);
  operation.set_target(request.target);
  operation.set_host(request.host);
  operation.set_state(v1::OPERATION_STATE_PENDING);
  operation.set_request_id(request.request_id);
  operation.set_created_by(request.created_by);
  operation.set_message("accepted");
  *operation.mutable_create_time() = ToTimestamp(now);
  *operation.mutable_update_time() = ToTimestamp(now);
  for (const Step& step : kind.steps) {
    v1::OperationStep& shown = *operation.add_steps();
    shown.set_name(step.name);
    shown.set_state(v1::STEP_STATE_PENDING);
  }
  record.set_input(request.input);
  for (const std::string& lock : request.locks) record.add_locks(lock);
  record.set_lender(request.lender);
  AddFacts(record, request.facts, {});
  return record;
}

void BeginStep(OperationRecord& record, absl::Time now) {
  record.mutable_operation()->set_state(v1::OPERATION_STATE_RUNNING);
  v1::OperationStep& step = CurrentStep(record);
  step.set_state(v1::STEP_STATE_RUNNING);
  step.set_attempts(step.attempts() + 1);
  if (!step.has_start_time()) *step.mutable_start_time() = ToTimestamp(now);
  if (step.message().empty()) record.mutable_operation()->set_message(step.name());
}

void FinishStep(OperationRecord& record, const std::string& message, absl::Time now) {
  Show(record, message);
  CurrentStep(record).set_state(v1::STEP_STATE_DONE);
  *CurrentStep(record).mutable_end_time() = ToTimestamp(now);
  ClearRetries(record);
  record.set_step(record.step() + 1);
}

void NoteWait(OperationRecord& record, const std::string& message) {
  ClearRetries(record);
  if (!message.empty()) Show(record, message);
}

void NoteRetry(OperationRecord& record, const absl::Status& status, absl::Duration delay,
               absl::Time now) {
  Show(record, absl::StrCat("trying again: ", status.message()));
  record.set_retries(record.retries() + 1);
  *record.mutable_not_before() = ToTimestamp(now + delay);
}

void FailStep(OperationRecord& record, const absl::Status& status, absl::Time now) {
  v1::OperationStep& step = CurrentStep(record);
  Show(record, std::string(status.message()));
  step.set_state(v1::STEP_STATE_FAILED);
  *step.mutable_end_time() = ToTimestamp(now);
  *record.mutable_failure() = ToError(Annotate(status, step.name()));
  record.mutable_operation()->set_state(v1::OPERATION_STATE_COMPENSATING);
  ClearRetries(record);
}

void TurnBack(OperationRecord& record) {
  *record.mutable_failure() = ToError(absl::CancelledError("cancelled on request"));
  record.mutable_operation()->set_state(v1::OPERATION_STATE_COMPENSATING);
  record.mutable_operation()->set_message("cancelling");
  ClearRetries(record);
}

void AddNote(OperationRecord& record, const std::string& note) {
  if (note.empty()) return;
  record.mutable_failure()->set_message(
      ValidUtf8(absl::StrCat(record.failure().message(), "; ", note), kMaxErrorBytes));
}

void FinishUndo(OperationRecord& record, const absl::Status& failure, absl::Time now) {
  v1::OperationStep& step = CurrentStep(record);
  // The step that failed stays marked as the one that failed; all others read as undone.
  if (step.state() != v1::STEP_STATE_FAILED) {
    step.set_state(failure.ok() ? v1::STEP_STATE_UNDONE : v1::STEP_STATE_FAILED);
  }
  if (!step.has_end_time()) *step.mutable_end_time() = ToTimestamp(now);
  if (!failure.ok()) {
    record.mutable_failure()->set_message(
        ValidUtf8(absl::StrCat(record.failure().message(), "; undoing ", step.name(),
                               " failed too: ", failure.message()),
                  kMaxErrorBytes));
  }
  SkipUndo(record);
}

void SkipUndo(OperationRecord& record) {
  ClearRetries(record);
  record.set_step(record.step() - 1);
}

void End(OperationRecord& record, absl::Time now) {
  v1::Operation& operation = *record.mutable_operation();
  *operation.mutable_end_time() = ToTimestamp(now);
  if (!IsUndoing(record)) {
    operation.set_state(v1::OPERATION_STATE_SUCCEEDED);
    return;
  }
  const bool cancelled = operation.cancel_requested() &&
                         record.failure().code() == static_cast<int>(absl::StatusCode::kCancelled);
  operation.set_state(cancelled ? v1::OPERATION_STATE_CANCELLED : v1::OPERATION_STATE_FAILED);
  *operation.mutable_error() = record.failure();
  operation.set_message(ValidUtf8(record.failure().message(), kMaxMessageBytes));
}

void AddFacts(OperationRecord& record, const std::map<std::string, std::string>& facts,
              const std::map<std::string, std::string>& results) {
  for (const auto& [name, value] : facts) {
    (*record.mutable_facts())[name] = ValidUtf8(value, kMaxFactBytes);
  }
  for (const auto& [name, value] : results) {
    (*record.mutable_operation()->mutable_result())[name] = ValidUtf8(value, kMaxFactBytes);
  }
}

}  // namespace mtp::operations
