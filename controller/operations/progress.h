// How an operation's record moves on: pure functions over the record, one for each way a step can
// end. The engine decides when, and makes each change durable.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <map>
#include <string>

#include "controller/operations/engine.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp::operations {

using state::v1::OperationRecord;

// What has to happen next.
enum class Next {
  kBeginStep,  // make durable that the step at `record.step` begins, then run it
  kTurnBack,   // a cancel request is honoured here: begin to undo
  kUndoStep,   // run the compensation of the step at `record.step`
  kSkipUndo,   // the step at `record.step` needs no undoing
  kEnd,        // nothing is left to do
};

bool HasEnded(const v1::Operation& operation);
bool IsUndoing(const OperationRecord& record);
// Whether this build can go on with the record: it has not ended, its state is one that is known,
// its steps are those of the kind, by name and order, and its position is within them.
bool FitsKind(const OperationRecord& record, const Kind& kind);
Next NextOf(const OperationRecord& record, const Kind& kind);

// A new record with all steps of the kind pending.
OperationRecord MakeRecord(const std::string& id, const Kind& kind, const NewOperation& request,
                           absl::Time now);

// The step at `record.step` begins (again).
void BeginStep(OperationRecord& record, absl::Time now);
// It is done: on to the next one, which is not begun yet.
void FinishStep(OperationRecord& record, const std::string& message, absl::Time now);
// It waits for something outside.
void NoteWait(OperationRecord& record, const std::string& message);
// It is to be run again after `delay`.
void NoteRetry(OperationRecord& record, const absl::Status& status, absl::Duration delay,
               absl::Time now);
// It failed for good: begin to undo, with this very step.
void FailStep(OperationRecord& record, const absl::Status& status, absl::Time now);
// A cancel request is honoured before or in the step at `record.step`.
void TurnBack(OperationRecord& record);
// Adds to the operation's error; nothing when `note` is empty.
void AddNote(OperationRecord& record, const std::string& note);
// The compensation of the step at `record.step` ended; `failure` is OK or what it could not undo.
void FinishUndo(OperationRecord& record, const absl::Status& failure, absl::Time now);
void SkipUndo(OperationRecord& record);
// The operation ends: SUCCEEDED, or FAILED or CANCELLED once undone.
void End(OperationRecord& record, absl::Time now);

void AddFacts(OperationRecord& record, const std::map<std::string, std::string>& facts,
              const std::map<std::string, std::string>& results);

}  // namespace mtp::operations
