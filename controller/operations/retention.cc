#include "controller/operations/retention.h"

#include <vector>

#include "common/base/status.h"
#include "controller/operations/keys.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp::operations {
namespace {

constexpr size_t kBatch = 50;

}  // namespace

void Retention::Add(const std::string& id, absl::Time end_time) {
  absl::MutexLock lock(&mutex_);
  finished_.emplace(end_time, id);
}

absl::StatusOr<bool> Retention::Prune(absl::Time now) {
  std::vector<std::pair<absl::Time, std::string>> due;
  bool more = false;
  {
    absl::MutexLock lock(&mutex_);
    size_t left = finished_.size();
    for (const auto& finished : finished_) {
      const bool too_many = left > static_cast<size_t>(max_finished_);
      if (!too_many && finished.first + keep_finished_ > now) break;
      if (due.size() == kBatch) {
        more = true;
        break;
      }
      due.push_back(finished);
      --left;
    }
  }
  if (due.empty()) return false;
  kv::Txn txn;
  for (const auto& [end_time, id] : due) {
    const auto entry = store_->Get(OperationKey(id));
    if (!entry.ok()) continue;
    txn.Delete(entry->key);
    state::v1::OperationRecord record;
    if (!record.ParseFromString(entry->value)) continue;
    const v1::Operation& operation = record.operation();
    if (!operation.request_id().empty()) {
      txn.Delete(RequestKey(operation.created_by(), operation.request_id()));
    }
  }
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  absl::MutexLock lock(&mutex_);
  for (const auto& finished : due) finished_.erase(finished);
  return more;
}

}  // namespace mtp::operations
