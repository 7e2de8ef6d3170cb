#include <absl/synchronization/mutex.h>

#include "common/kv/content.h"
#include "common/kv/sqlite_store.h"

namespace mtp::kv {
namespace {

class MemoryStore final : public Store {
 public:
  absl::StatusOr<Entry> Get(absl::string_view key) const override { return content_.Get(key); }
  std::vector<Entry> List(absl::string_view prefix, int64_t* revision) const override {
    return content_.List(prefix, revision);
  }
  absl::StatusOr<int64_t> Commit(const Txn& txn) override {
    if (absl::Status status = CheckLimits(txn); !status.ok()) return status;
    int64_t revision = 0;
    {
      absl::MutexLock lock(&commit_mutex_);
      if (absl::Status status = content_.CheckCompares(txn); !status.ok()) return status;
      revision = content_.Revision() + 1;
      content_.Apply(txn, revision);
    }
    content_.Deliver();
    return revision;
  }
  absl::StatusOr<std::unique_ptr<Watch>> WatchPrefix(
      std::string prefix, int64_t after_revision,
      std::function<void(const std::vector<Event>&)> on_events) override {
    return content_.WatchPrefix(std::move(prefix), after_revision, std::move(on_events));
  }
  int64_t Revision() const override { return content_.Revision(); }

 private:
  absl::Mutex commit_mutex_;
  Content content_;
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore() { return std::make_unique<MemoryStore>(); }

}  // namespace mtp::kv
