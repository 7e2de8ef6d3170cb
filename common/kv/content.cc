#include "common/kv/content.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/kv/watch_queue.h"

namespace mtp::kv {
namespace {

constexpr size_t kMaxHistoryEvents = 10'000;
constexpr size_t kMaxHistoryBytes = 64 << 20;

absl::Status CheckKey(absl::string_view key, std::set<absl::string_view>* seen) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a key of ", key.size(), " bytes: the limit is 1 to ", kMaxKeyBytes));
  }
  if (!seen->insert(key).second) {
    return absl::InvalidArgumentError(absl::StrCat("the transaction changes ", key, " twice"));
  }
  return absl::OkStatus();
}

size_t BytesOf(const std::vector<Event>& events) {
  size_t bytes = 0;
  for (const Event& event : events) bytes += event.entry.key.size() + event.entry.value.size();
  return bytes;
}

// Ends its queue; Content only knows it weakly.
class QueueWatch final : public Watch {
 public:
  explicit QueueWatch(std::shared_ptr<WatchQueue> queue) : queue_(std::move(queue)) {}
  ~QueueWatch() override { queue_->End(); }

 private:
  const std::shared_ptr<WatchQueue> queue_;
};

}  // namespace

absl::Status CheckLimits(const Txn& txn) {
  if (txn.puts.size() + txn.deletes.size() > kMaxChanges) {
    return absl::InvalidArgumentError(absl::StrCat("a transaction of ",
                                                   txn.puts.size() + txn.deletes.size(),
                                                   " changes: the limit is ", kMaxChanges));
  }
  std::set<absl::string_view> seen;
  for (const auto& [key, value] : txn.puts) {
    if (absl::Status status = CheckKey(key, &seen); !status.ok()) return status;
    if (value.size() > kMaxValueBytes) {
      return absl::InvalidArgumentError(absl::StrCat("the value of ", key, " has ", value.size(),
                                                     " bytes: the limit is ", kMaxValueBytes));
    }
  }
  for (const std::string& key : txn.deletes) {
    if (absl::Status status = CheckKey(key, &seen); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void Content::Load(std::vector<Entry> entries, int64_t revision) {
  absl::MutexLock lock(&mutex_);
  entries_.clear();
  for (Entry& entry : entries) {
    std::string key = entry.key;
    entries_.emplace_hint(entries_.end(), std::move(key), std::move(entry));
  }
  revision_ = revision;
  forgotten_ = revision;
}

absl::StatusOr<Entry> Content::Get(absl::string_view key) const {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return absl::NotFoundError(absl::StrCat("there is no ", key));
  return found->second;
}

std::vector<Entry> Content::List(absl::string_view prefix, int64_t* revision) const {
  std::vector<Entry> found;
  absl::ReaderMutexLock lock(&mutex_);
  for (auto it = entries_.lower_bound(prefix);
       it != entries_.end() && absl::StartsWith(it->first, prefix); ++it) {
    found.push_back(it->second);
  }
  if (revision != nullptr) *revision = revision_;
  return found;
}

int64_t Content::Revision() const {
  absl::ReaderMutexLock lock(&mutex_);
  return revision_;
}

absl::Status Content::CheckCompares(const Txn& txn) const {
  absl::ReaderMutexLock lock(&mutex_);
  for (const Compare& compare : txn.compares) {
    const auto found = entries_.find(compare.key);
    const int64_t revision = found == entries_.end() ? 0 : found->second.mod_revision;
    if (revision != compare.mod_revision) {
      return absl::AbortedError(
          absl::StrCat(compare.key, " was changed meanwhile by someone else; try again"));
    }
  }
  return absl::OkStatus();
}

void Content::Apply(const Txn& txn, int64_t revision) {
  std::vector<Event> events;
  events.reserve(txn.puts.size() + txn.deletes.size());
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, value] : txn.puts) {
    Entry& entry = entries_[key];
    entry = {key, value, revision};
    events.push_back({Event::Kind::kPut, entry});
  }
  for (const std::string& key : txn.deletes) {
    // Deleting what is absent is allowed and is no event.
    if (entries_.erase(key) > 0) events.push_back({Event::Kind::kDelete, {key, "", revision}});
  }
  revision_ = revision;
  watches_.erase(std::remove_if(watches_.begin(), watches_.end(),
                                [](const auto& watch) { return watch.expired(); }),
                 watches_.end());
  for (const auto& watch : watches_) {
    if (const auto queue = watch.lock()) queue->Add(events);
  }
  Remember(std::make_shared<const std::vector<Event>>(std::move(events)));
}

void Content::Remember(Batch batch) {
  if (batch->empty()) return;
  history_events_ += batch->size();
  history_bytes_ += BytesOf(*batch);
  history_.push_back(std::move(batch));
  while (history_events_ > kMaxHistoryEvents || history_bytes_ > kMaxHistoryBytes) {
    const Batch& oldest = history_.front();
    forgotten_ = oldest->front().entry.mod_revision;
    history_events_ -= oldest->size();
    history_bytes_ -= BytesOf(*oldest);
    history_.pop_front();
  }
}

void Content::Deliver() {
  std::vector<std::shared_ptr<WatchQueue>> queues;
  {
    absl::ReaderMutexLock lock(&mutex_);
    for (const auto& watch : watches_) {
      if (auto queue = watch.lock()) queues.push_back(std::move(queue));
    }
  }
  for (const auto& queue : queues) queue->Deliver();
}

absl::StatusOr<std::unique_ptr<Watch>> Content::WatchPrefix(
    std::string prefix, int64_t after_revision,
    std::function<void(const std::vector<Event>&)> on_events) {
  auto queue = std::make_shared<WatchQueue>(std::move(prefix), std::move(on_events));
  {
    absl::MutexLock lock(&mutex_);
    // A revision of the future comes from another store (one restored from a backup, say).
    if (after_revision < forgotten_ || after_revision > revision_) {
      return absl::OutOfRangeError(absl::StrCat("changes after revision ", after_revision,
                                                " are not kept (", forgotten_, " to ", revision_,
                                                " are); list again"));
    }
    for (const Batch& batch : history_) {
      if (batch->front().entry.mod_revision > after_revision) queue->Add(*batch);
    }
    watches_.push_back(queue);
  }
  queue->Deliver();
  return std::make_unique<QueueWatch>(std::move(queue));
}

}  // namespace mtp::kv
