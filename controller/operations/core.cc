#include "controller/operations/core.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "controller/operations/keys.h"

namespace mtp::operations {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr absl::Duration kPruneInterval = absl::Minutes(1);
constexpr absl::Duration kPruneBatchPause = absl::Milliseconds(20);

absl::StatusOr<OperationRecord> ParseRecord(const kv::Entry& entry) {
  OperationRecord record;
  if (!record.ParseFromString(entry.value)) {
    return absl::DataLossError(absl::StrCat("the state of ", entry.key, " cannot be read"));
  }
  return record;
}

v1::Operation Shown(const OperationRecord& record, int64_t revision) {
  v1::Operation operation = record.operation();
  operation.set_etag(absl::StrCat(revision));
  return operation;
}

std::string IdOf(const OperationRecord& record) {
  return std::string(absl::StripPrefix(record.operation().name(), "operations/"));
}

// Empty when it cannot be read.
std::string HolderOf(const kv::Entry& lock) {
  state::v1::LockRecord record;
  return record.ParseFromString(lock.value) ? record.operation() : "";
}

std::string LockValue(const std::string& id) {
  state::v1::LockRecord lock;
  lock.set_operation(id);
  return lock.SerializeAsString();
}

}  // namespace

Core::Core(kv::Store* store, const Clock* clock, Random* random, Executor* executor,
           Engine::Options options)
    : store_(store),
      clock_(clock),
      random_(random),
      executor_(executor),
      options_(std::move(options)),
      retention_(store, options_.max_finished, options_.keep_finished) {}

void Core::Register(Kind kind) {
  std::string name = kind.name;
  kinds_[name] = std::move(kind);
}

absl::Status Core::Start() {
  std::vector<std::shared_ptr<Live>> taken;
  std::vector<std::string> unknown;
  for (const kv::Entry& entry : store_->List(kOperationsPrefix)) {
    const absl::Status status = TakeUp(entry, &taken);
    if (absl::IsFailedPrecondition(status)) {
      unknown.emplace_back(status.message());
    } else if (!status.ok()) {
      return status;
    }
  }
  std::vector<absl::Duration> pauses;
  for (const auto& live : taken) {
    absl::MutexLock lock(&live->record_mutex);
    // The wall clock may have jumped while nothing ran: never more than one whole backoff.
    pauses.push_back(live->record->has_not_before()
                         ? std::clamp(FromTimestamp(live->record->not_before()) - clock_->Now(),
                                      absl::ZeroDuration(), options_.max_backoff)
                         : absl::ZeroDuration());
  }
  {
    absl::MutexLock lock(&mutex_);
    if (started_) return absl::OkStatus();
    started_ = true;
    for (size_t i = 0; i < taken.size(); ++i) {
      Live& live = *taken[i];
      live_[live.id] = taken[i];
      if (pauses[i] > absl::ZeroDuration()) {
        live.phase = Phase::kBackoff;
        StartTimer(live, pauses[i]);
      } else {
        Enqueue(live);
      }
    }
  }
  SchedulePrune(kPruneInterval);
  if (unknown.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(unknown.size(), " operations are left untouched, the first: ", unknown.front()));
}

absl::Status Core::TakeUp(const kv::Entry& entry, std::vector<std::shared_ptr<Live>>* taken) {
  MTP_ASSIGN_OR_RETURN(OperationRecord record, ParseRecord(entry));
  const std::string id = entry.key.substr(sizeof(kOperationsPrefix) - 1);
  if (HasEnded(record.operation())) {
    retention_.Add(id, FromTimestamp(record.operation().end_time()));
    return absl::OkStatus();
  }
  const auto kind = kinds_.find(record.operation().kind());
  if (kind == kinds_.end() || !FitsKind(record, kind->second)) {
    return absl::FailedPreconditionError(
        absl::StrCat("operation ", id, " of kind \"", record.operation().kind(),
                     "\" was begun by another version; install that version to finish it"));
  }
  auto live = std::make_shared<Live>();
  live->id = id;
  live->kind = &kind->second;
  {
    absl::MutexLock lock(&live->record_mutex);
    live->record = std::make_shared<const OperationRecord>(std::move(record));
    live->revision = entry.mod_revision;
  }
  taken->push_back(std::move(live));
  return absl::OkStatus();
}

void Core::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  mutex_.Await(absl::Condition(
      +[](int* running) { return *running == 0; }, &running_));
}

absl::StatusOr<v1::Operation> Core::FindRequest(const std::string& caller,
                                                const std::string& request_id,
                                                const std::string& request_hash) const {
  if (request_id.empty()) return absl::NotFoundError("no request id was given");
  MTP_ASSIGN_OR_RETURN(const kv::Entry entry, store_->Get(RequestKey(caller, request_id)));
  state::v1::RequestRecord record;
  if (!record.ParseFromString(entry.value)) {
    return absl::DataLossError(absl::StrCat("the state of ", entry.key, " cannot be read"));
  }
  if (record.request_hash() != request_hash) {
    return absl::AlreadyExistsError(absl::StrCat(
        "request id \"", request_id, "\" was used for another request already; choose a new one"));
  }
  return Get(record.operation());
}

absl::StatusOr<v1::Operation> Core::Create(const NewOperation& request, kv::Txn txn) {
  const auto kind = kinds_.find(request.kind);
  if (kind == kinds_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("there is no operation \"", request.kind, "\""));
  }
  if (request.request_id.size() > kMaxRequestIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request id is longer than ", kMaxRequestIdBytes, " bytes"));
  }
  auto seen = FindRequest(request.created_by, request.request_id, request.request_hash);
  if (seen.ok() || !absl::IsNotFound(seen.status())) return seen;

  auto live = std::make_shared<Live>();
  live->id = request.id.empty() ? NewUlid(*clock_, *random_) : request.id;
  live->kind = &kind->second;
  const auto record = std::make_shared<const OperationRecord>(
      MakeRecord(live->id, kind->second, request, clock_->Now()));
  txn.RequireAbsent(OperationKey(live->id));
  txn.Put(OperationKey(live->id), record->SerializeAsString());
  for (const std::string& lock : request.locks) TakeLock(lock, *record, txn);
  if (!request.request_id.empty()) {
    state::v1::RequestRecord remembered;
    remembered.set_operation(live->id);
    remembered.set_request_hash(request.request_hash);
    const std::string key = RequestKey(request.created_by, request.request_id);
    txn.RequireAbsent(key).Put(key, remembered.SerializeAsString());
  }

  {
    // Known before it is in the store, so that a wake or cancel right after the commit finds it.
    absl::MutexLock lock(&mutex_);
    if (!started_ || stopped_) return absl::UnavailableError("the controller is not running yet");
    if (live_.size() >= static_cast<size_t>(options_.max_active)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          live_.size(), " operations are going on, which is the limit; wait for some to end"));
    }
    live_[live->id] = live;
    ++running_;  // Stop waits for the commit
  }
  const std::string point = absl::StrCat(live->id, "/accept#begin");
  Failpoint("before-persist", *live, point);
  const auto revision = store_->Commit(txn);
  Failpoint("after-persist", *live, point);
  if (revision.ok()) {
    absl::MutexLock lock(&live->record_mutex);
    live->record = record;
    live->revision = *revision;
  }
  {
    absl::MutexLock lock(&mutex_);
    --running_;
    if (revision.ok()) {
      Enqueue(*live);
    } else {
      live_.erase(live->id);
    }
  }
  if (!revision.ok()) return ExplainConflict(request, revision.status());
  return Shown(*record, *revision);
}

// One that is lent is taken as it is now: its release meanwhile is a conflict.
void Core::TakeLock(const std::string& lock, const OperationRecord& record, kv::Txn& txn) const {
  txn.Put(lock, LockValue(IdOf(record)));
  if (!record.lender().empty()) {
    const auto held = store_->Get(lock);
    if (held.ok() && HolderOf(*held) == record.lender()) {
      txn.RequireRevision(lock, held->mod_revision);
      return;
    }
  }
  txn.RequireAbsent(lock);
}

// Whether what was borrowed goes back: to one that does not end meanwhile.
bool Core::GoesBack(const OperationRecord& record, kv::Txn& txn) const {
  if (record.lender().empty() || record.operation().state() == v1::OPERATION_STATE_SUCCEEDED) {
    return false;
  }
  const std::string key = OperationKey(record.lender());
  const auto entry = store_->Get(key);
  if (!entry.ok()) return false;
  txn.RequireRevision(key, entry->mod_revision);
  const auto lender = ParseRecord(*entry);
  return lender.ok() && !HasEnded(lender->operation());
}

// Those that it has lent are not its own now.
void Core::ReleaseLocks(const OperationRecord& record, kv::Txn& txn) const {
  const bool give_back = GoesBack(record, txn);
  for (const std::string& lock : record.locks()) {
    const auto held = store_->Get(lock);
    if (!held.ok() || HolderOf(*held) != IdOf(record)) continue;
    txn.RequireRevision(lock, held->mod_revision);
    if (give_back) {
      txn.Put(lock, LockValue(record.lender()));
    } else {
      txn.Delete(lock);
    }
  }
}

absl::StatusOr<v1::Operation> Core::ExplainConflict(const NewOperation& request,
                                                    const absl::Status& status) const {
  if (!absl::IsAborted(status)) return status;
  auto seen = FindRequest(request.created_by, request.request_id, request.request_hash);
  if (seen.ok() || !absl::IsNotFound(seen.status())) return seen;
  for (const std::string& lock : request.locks) {
    const auto held = store_->Get(lock);
    if (!held.ok()) continue;
    const std::string id = HolderOf(*held);
    const auto holder = Get(id);
    const bool of_other_version = holder.ok() && Find(id) == nullptr;
    return absl::FailedPreconditionError(
        absl::StrCat(request.target, " is busy: operation ", id,
                     holder.ok() ? absl::StrCat(" (", holder->kind(), ")") : "",
                     of_other_version ? " was begun by another version; install that version to "
                                        "finish it"
                                      : " is going on; wait for it or cancel it"));
  }
  return status;
}

absl::StatusOr<v1::Operation> Core::Cancel(const std::string& id) {
  const std::shared_ptr<Live> live = Find(id);
  if (live == nullptr) {
    MTP_ASSIGN_OR_RETURN(v1::Operation operation, Get(id));
    if (HasEnded(operation)) return operation;
    return absl::FailedPreconditionError(
        absl::StrCat("operation ", id, " was begun by another version; only that can cancel it"));
  }
  v1::Operation shown;
  {
    absl::MutexLock lock(&live->record_mutex);
    if (live->revision == 0) return absl::NotFoundError(absl::StrCat("no operation ", id));
    MTP_RETURN_IF_ERROR(Get(id).status());
    const v1::Operation& operation = live->record->operation();
    if (HasEnded(operation) || IsUndoing(*live->record) || operation.cancel_requested()) {
      return Shown(*live->record, live->revision);
    }
    if (live->kind->check_cancel) MTP_RETURN_IF_ERROR(live->kind->check_cancel(*live->record));
    OperationRecord next = *live->record;
    next.mutable_operation()->set_cancel_requested(true);
    *next.mutable_operation()->mutable_update_time() = ToTimestamp(clock_->Now());
    kv::Txn txn;
    txn.RequireRevision(OperationKey(id), live->revision)
        .Put(OperationKey(id), next.SerializeAsString());
    MTP_ASSIGN_OR_RETURN(live->revision, store_->Commit(txn));
    shown = Shown(next, live->revision);
    live->record = std::make_shared<const OperationRecord>(std::move(next));
  }
  absl::MutexLock lock(&mutex_);
  live->cancelled = true;
  if (live->phase == Phase::kWaiting || live->phase == Phase::kBackoff) Enqueue(*live);
  return shown;
}

absl::StatusOr<v1::Operation> Core::Get(const std::string& id) const {
  const auto entry = store_->Get(OperationKey(id));
  if (!entry.ok()) {
    return absl::NotFoundError(
        absl::StrCat("there is no operation ", id, ", or it ended too long ago to be kept"));
  }
  MTP_ASSIGN_OR_RETURN(const OperationRecord record, ParseRecord(*entry));
  return Shown(record, entry->mod_revision);
}

void Core::Wake(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  Live& live = *found->second;
  live.woken = true;
  if (live.phase == Phase::kWaiting) Enqueue(live);
}

int Core::Active() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(live_.size());
}

std::shared_ptr<Core::Live> Core::Find(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = live_.find(id);
  return found == live_.end() ? nullptr : found->second;
}

void Core::SchedulePrune(absl::Duration delay) {
  executor_->PostAfter(delay, [core = shared_from_this()] { core->Prune(); });
}

void Core::Prune() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    ++running_;
  }
  const auto more = retention_.Prune(clock_->Now());
  {
    absl::MutexLock lock(&mutex_);
    --running_;
  }
  SchedulePrune(more.ok() && *more ? kPruneBatchPause : kPruneInterval);
}

}  // namespace mtp::operations
