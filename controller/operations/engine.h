// The durable operations engine. An operation kind is a list of named steps; the engine carries
// them out one after another, persisting before and after each, so that after a crash at any point
// the operation continues by itself. See docs/decisions/0003-operations.md.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/random.h"
#include "common/kv/store.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp::operations {

// What a step function sees. Valid only during the call.
class StepContext {
 public:
  StepContext(const state::v1::OperationRecord& record, std::string key)
      : record_(record), key_(std::move(key)) {}

  const state::v1::OperationRecord& record() const { return record_; }
  // Unique for ever: `<ULID>/<step>`, with `/undo` after it for a compensation. Key of the agent's
  // actions.
  const std::string& key() const { return key_; }
  // A fact of an earlier step; empty when there is none.
  std::string Fact(const std::string& name) const;
  // Hands a fact to later steps, persisted with this step's end (or wait). Never a secret.
  void SetFact(const std::string& name, std::string value) { new_facts_[name] = std::move(value); }
  // Adds a fact to the operation's result, shown to the caller.
  void SetResult(const std::string& name, std::string value) {
    new_results_[name] = std::move(value);
  }
  // Changes of the store that become true in the very transaction that persists the end of this
  // step. Dropped when the step does not end as done. When one of its compares fails, the step is
  // run again at once. A compensation may use it too.
  kv::Txn& txn() { return txn_; }

  const std::map<std::string, std::string>& new_facts() const { return new_facts_; }
  const std::map<std::string, std::string>& new_results() const { return new_results_; }

 private:
  const state::v1::OperationRecord& record_;
  std::string key_;
  std::map<std::string, std::string> new_facts_;
  std::map<std::string, std::string> new_results_;
  kv::Txn txn_;
};

// How a step call ended.
struct StepResult {
  enum class Kind {
    // Go on with the next step.
    kDone,
    // Nothing to do until Wake(this operation) or until `delay` has passed, whichever is first;
    // `delay` is held within 10 ms and 10 minutes.
    kWait,
    // A fault that may pass: again after a backoff of 0.5 s doubling to 30 s, with jitter. Wakes do
    // not cut it short.
    kRetry,
    // For good: undo what was done.
    kFail,
  };
  Kind kind = Kind::kDone;
  absl::Duration delay;
  absl::Status status;  // for kRetry and kFail
  std::string message;  // progress for people
  // Of a compensation that is done: what the caller has to know of how things stand now. Added to
  // the operation's error.
  std::string note = {};

  static StepResult Done(std::string message = "");
  static StepResult Wait(absl::Duration recheck, std::string message = "");
  static StepResult Retry(absl::Status status);
  static StepResult Fail(absl::Status status);
};

// One named step. Both functions are short, idempotent, may run on any thread of the executor, and
// see all outside things through clients given at construction.
struct Step {
  std::string name;
  std::function<StepResult(StepContext&)> run;
  // Undoes the step, also when it is not known whether it took effect. Null when there is nothing
  // to undo. Retried until done: it must not fail for good (kFail counts as done, and is noted in
  // the operation's error).
  std::function<StepResult(StepContext&)> compensate;
  // Whether a cancel request is honoured before this step or while it waits. False for steps after
  // the point of no return.
  bool cancellable = true;
};

struct Kind {
  std::string name;
  std::vector<Step> steps;
  // Added to the transaction that ends the operation, whatever its end. Called again when one of
  // its compares fails, so it must read the store afresh each time. May be null.
  std::function<void(const state::v1::OperationRecord&, kv::Txn&)> on_end;
  // Asked before a cancel request is marked: an error, in words, refuses it. Must not call the
  // engine. Null marks every request; where no step honours it any more, it goes unheard.
  std::function<absl::Status(const state::v1::OperationRecord&)> check_cancel = {};
};

// What Create needs.
struct NewOperation {
  std::string kind;
  std::string target;      // `tenants/acme`
  std::string host;        // may be empty
  std::string input;       // serialized for the kind
  std::string created_by;  // `operator/alice`
  std::string request_id;  // may be empty
  std::string request_hash;
  std::map<std::string, std::string> facts;
  // Locks to hold until the end, `/locks/tenants/acme`.
  std::vector<std::string> locks;
  // ULID of an operation that may hold these locks already and lends them: it gets them back at the
  // end, unless this one succeeds. It is woken then; that it waits until then is the matter of its
  // own steps.
  std::string lender = {};
  // ULID that it gets, for records made in the same transaction that name it; empty takes a new
  // one.
  std::string id = {};
};

class Core;

// Thread-safe. Call Register for every kind, then Start once.
class Engine {
 public:
  struct Options {
    // Finished operations kept (default 10,000) and for how long (default 30 days).
    int max_finished = 10'000;
    absl::Duration keep_finished = absl::Hours(24 * 30);
    absl::Duration min_backoff = absl::Milliseconds(500);
    absl::Duration max_backoff = absl::Seconds(30);
    // Operations that have not ended; Create refuses beyond (RESOURCE_EXHAUSTED).
    int max_active = 10'000;
    // Called when a change could not be persisted (it is tried again with backoff), for the log.
    // May be null.
    std::function<void(const std::string& id, const absl::Status& status)> on_persist_failure;
    // Called when an operation is dropped since its record is gone from the store (a state put back
    // from a backup): no step of it runs any more, its locks are released. For the log. May be
    // null.
    std::function<void(const std::string& id)> on_drop;
    // Called at named points with `<kind>/<ULID>/<step>` (`/undo` behind it for a compensation); a
    // test crashes there. `before-step` and `after-step`, around the step's function;
    // `before-persist` and `after-persist`, around each change of the record, with what is changed
    // behind the key: `#begin`, `#wait`, `#retry`, `#done`, `#fail`, `#turn-back`, `#skip`, `#end`.
    // When the operation is created the step is `accept`, after its last one it is `end`. Null in
    // production unless MTP_FAILPOINT is set.
    std::function<void(const std::string& point, const std::string& key)> failpoint;
  };

  Engine(kv::Store* store, const Clock* clock, Random* random, Executor* executor, Options options);
  ~Engine();

  void Register(Kind kind);
  // Takes up every operation that has not ended. DATA_LOSS when the state cannot be read: nothing
  // is begun. FAILED_PRECONDITION when an operation is of a kind, or has steps, that this build
  // does not know: it is left untouched, is named in the sentence and stays in the store; all
  // others are taken up.
  absl::Status Start();
  // No step begins after this returns; running steps have ended. Nothing is written: a later Start
  // goes on from the store. Twice changes nothing; not from inside a step.
  void Stop();

  // The operation that this caller created before with this request id, or NOT_FOUND.
  // ALREADY_EXISTS when the request differs. Check before validating: a retry must get its
  // operation even if the world has changed.
  absl::StatusOr<v1::Operation> FindRequest(const std::string& caller,
                                            const std::string& request_id,
                                            const std::string& request_hash) const;
  // Creates the operation in one transaction with `txn` (reservations). ABORTED when a compare of
  // `txn` fails (read again and decide anew) or FAILED_PRECONDITION naming the running operation
  // when a lock is held. A request id seen before returns its operation and does not carry out
  // `txn`. UNAVAILABLE before Start and after Stop.
  absl::StatusOr<v1::Operation> Create(const NewOperation& request, kv::Txn txn);
  // Marks it; it ends CANCELLED once undone. Ended operations, and those being undone already, are
  // returned as they are. NOT_FOUND. FAILED_PRECONDITION for an operation of an unknown kind. What
  // the kind refuses it with.
  absl::StatusOr<v1::Operation> Cancel(const std::string& id);

  absl::StatusOr<v1::Operation> Get(const std::string& id) const;
  // Looks at a waiting operation again, now. Unknown or ended ids are ignored.
  void Wake(const std::string& id);
  // Operations that have not ended.
  int Active() const;

 private:
  // Shared with the tasks on the executor, which may outlive the engine.
  const std::shared_ptr<Core> core_;
};

}  // namespace mtp::operations
