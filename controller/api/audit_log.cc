#include "controller/api/audit_log.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/base/utf8.h"
#include "common/kv/table.h"
#include "controller/api/pages.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

constexpr char kPrefix[] = "/audit/";
constexpr size_t kMaxMessageBytes = 1000;
constexpr int kMaxAnonymousPerMinute = 60;
// Old entries are dropped this many at a time.
constexpr int kDropAtOnce = 200;

}  // namespace

AuditLog::AuditLog(kv::Store* store, const Clock* clock, Random* random, int max_entries)
    : store_(store),
      clock_(clock),
      random_(random),
      max_entries_(max_entries),
      count_(static_cast<int64_t>(store->List(kPrefix).size())),
      minute_began_(clock->Monotonic()) {}

absl::Status AuditLog::Record(v1::AuditEntry entry) {
  absl::MutexLock lock(&mutex_);
  if (entry.actor() == "anonymous") {
    if (clock_->Monotonic() - minute_began_ > absl::Minutes(1)) {
      minute_began_ = clock_->Monotonic();
      anonymous_in_minute_ = 0;
    }
    if (++anonymous_in_minute_ > kMaxAnonymousPerMinute) {
      ++skipped_;
      return absl::OkStatus();
    }
  }
  if (skipped_ > 0) {
    entry.set_message(
        absl::StrCat(entry.message(), " (", skipped_, " more refusals of strangers before)"));
  }
  // Sentences may quote what a caller sent. An entry that is not UTF-8 could never be read again.
  for (std::string* text : {entry.mutable_actor(), entry.mutable_method(), entry.mutable_target(),
                            entry.mutable_message(), entry.mutable_peer()}) {
    *text = ValidUtf8(*text, kMaxMessageBytes);
  }
  *entry.mutable_time() = ToTimestamp(clock_->Now());
  state::v1::AuditRecord record;
  *record.mutable_entry() = std::move(entry);
  kv::Txn txn;
  txn.Put(absl::StrCat(kPrefix, NewUlid(*clock_, *random_)), record.SerializeAsString());
  if (count_ >= max_entries_) {
    for (const kv::Entry& old : store_->List(kPrefix)) {
      if (static_cast<int>(txn.deletes.size()) == kDropAtOnce) break;
      txn.Delete(old.key);
    }
  }
  const auto dropped = static_cast<int64_t>(txn.deletes.size());
  auto revision = store_->Commit(txn);
  if (!revision.ok()) return revision.status();
  count_ += 1 - dropped;
  skipped_ = 0;
  return absl::OkStatus();
}

absl::StatusOr<v1::ListAuditEntriesResponse> AuditLog::List(
    const v1::ListAuditEntriesRequest& request) const {
  std::vector<kv::Entry> entries = store_->List(kPrefix);
  std::reverse(entries.begin(), entries.end());
  v1::ListAuditEntriesResponse response;
  auto page = PageOf(entries, request.page_size(), 50, request.page_token(), Order::kDescending,
                     [](const kv::Entry& entry) -> const std::string& { return entry.key; });
  if (!page.ok()) return page.status();
  for (const kv::Entry* entry : page->items) {
    state::v1::AuditRecord record;
    if (record.ParseFromString(entry->value)) *response.add_entries() = record.entry();
  }
  response.set_next_page_token(page->next_token);
  return response;
}

}  // namespace mtp
