// The engine's inside. One task on the executor carries one operation on by one step at a time;
// between two tasks everything that matters is in the store.
//
// Locks, in the order in which they may be taken: an operation's `record_mutex`, then `mutex_`.
// Commits happen under `record_mutex` at most, steps run under no lock at all.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "controller/operations/engine.h"
#include "controller/operations/progress.h"
#include "controller/operations/retention.h"

namespace mtp::operations {

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(kv::Store* store, const Clock* clock, Random* random, Executor* executor,
       Engine::Options options);

  // As Engine's functions of these names.
  void Register(Kind kind);
  absl::Status Start();
  void Stop();
  absl::StatusOr<v1::Operation> FindRequest(const std::string& caller,
                                            const std::string& request_id,
                                            const std::string& request_hash) const;
  absl::StatusOr<v1::Operation> Create(const NewOperation& request, kv::Txn txn);
  absl::StatusOr<v1::Operation> Cancel(const std::string& id);
  absl::StatusOr<v1::Operation> Get(const std::string& id) const;
  void Wake(const std::string& id);
  int Active() const;

 private:
  // Where an operation stands with the executor.
  enum class Phase {
    kCreating,  // not in the store yet
    kQueued,    // a task that will run it is posted
    kRunning,   // a task runs it
    kWaiting,   // until a wake or its timer
    kBackoff,   // until its timer, or a cancel request
  };
  // How a step or compensation ended, until that is in the store.
  struct Outcome {
    StepResult result;
    bool undo = false;
    std::map<std::string, std::string> facts;
    std::map<std::string, std::string> results;
    kv::Txn txn;
  };
  // One operation that has not ended.
  struct Live {
    std::string id;
    const Kind* kind = nullptr;

    absl::Mutex record_mutex;
    // Replaced as a whole, never changed; null until it is in the store.
    std::shared_ptr<const OperationRecord> record ABSL_GUARDED_BY(record_mutex);
    int64_t revision ABSL_GUARDED_BY(record_mutex) = 0;

    // Guarded by Core::mutex_ (annotations cannot name it from here).
    Phase phase = Phase::kCreating;
    bool woken = false;      // a wake came while it could not be honoured
    bool cancelled = false;  // likewise a cancel request
    uint64_t timer = 0;      // only the timer with this number counts

    // Touched only by the task that runs it.
    bool begun = false;  // the begin of the present attempt is in the store
    int conflicts = 0;   // compares of the step's own transaction that failed in a row
    int persist_failures = 0;
    std::optional<Outcome> unsaved;
  };
  // What a task does with its operation in the end.
  struct Pace {
    enum class Kind { kAgain, kWait, kBackoff, kEnded };
    Kind kind = Kind::kAgain;
    absl::Duration delay;
  };
  // How an attempt to make a change durable went.
  enum class Saved {
    kYes,
    kConflict,  // a compare other than the record's own failed
    kReloaded,  // the store has another record than was thought; it was taken over
    kInvalid,   // never possible: beyond the store's limits
    kFailed,    // the disk
  };

  absl::Status TakeUp(const kv::Entry& entry, std::vector<std::shared_ptr<Live>>* taken);
  void TakeLock(const std::string& lock, const OperationRecord& record, kv::Txn& txn) const;
  bool GoesBack(const OperationRecord& record, kv::Txn& txn) const;
  void ReleaseLocks(const OperationRecord& record, kv::Txn& txn) const;
  absl::StatusOr<v1::Operation> ExplainConflict(const NewOperation& request,
                                                const absl::Status& status) const;

  std::shared_ptr<Live> Find(const std::string& id) const;
  void Enqueue(Live& live) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartTimer(Live& live, absl::Duration delay) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTimer(const std::string& id, uint64_t timer);
  void Run(const std::string& id);
  void Settle(Live& live, const Pace& pace) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Pace Advance(Live& live);
  Pace RunStep(Live& live, bool undo);
  Pace SaveOutcome(Live& live);
  Pace AfterOutcome(Live& live);
  Pace OnConflict(Live& live);
  Pace EndOperation(Live& live);
  Pace Drop(Live& live);  // its record is gone from the store
  Pace PersistBackoff(Live& live);
  template <typename Change>
  Pace PersistSimply(Live& live, const char* stage, Change change);
  template <typename Change>
  Saved Persist(Live& live, const char* stage, kv::Txn txn, Change change);
  bool Reload(Live& live) ABSL_EXCLUSIVE_LOCKS_REQUIRED(live.record_mutex);

  std::shared_ptr<const OperationRecord> RecordOf(Live& live) const;
  std::string StepKey(const Live& live, const OperationRecord& record, bool undo) const;
  void Failpoint(const char* point, const Live& live, const std::string& key) const;
  void SchedulePrune(absl::Duration delay);
  void Prune();

  kv::Store* const store_;
  const Clock* const clock_;
  Random* const random_;
  Executor* const executor_;
  const Engine::Options options_;
  std::map<std::string, Kind> kinds_;  // unchanged after Start
  Retention retention_;

  mutable absl::Mutex mutex_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::shared_ptr<Live>> live_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp::operations
