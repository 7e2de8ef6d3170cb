// A Store before another one that fails, loses its process or changes what is written, as a test
// says.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/kv/store.h"

namespace mtp::testing {

// What happens to one commit.
enum class CommitFault {
  kNone,
  kDiskFull,     // RESOURCE_EXHAUSTED, nothing changed
  kDiskError,    // INTERNAL, nothing changed
  kCrashBefore,  // the process dies before it takes effect
  kCrashAfter,   // it takes effect, and the process dies before it learns so
};

// A dead process is one whose store refuses everything: what its code still does on the way out
// reaches nothing.
class FaultyStore final : public kv::Store {
 public:
  // Not owned; outlives this.
  explicit FaultyStore(kv::Store* inner) : inner_(inner) {}

  // Asked before each commit; null for none.
  std::function<CommitFault(const kv::Txn&)> choose_fault;
  // May change what is written: for planted defects. Null for none.
  std::function<void(kv::Txn&)> tamper;
  // Called when the process dies.
  std::function<void()> on_crash;

  void Crash();
  bool crashed() const { return crashed_; }

  absl::StatusOr<kv::Entry> Get(absl::string_view key) const override { return inner_->Get(key); }
  std::vector<kv::Entry> List(absl::string_view prefix, int64_t* revision) const override {
    return inner_->List(prefix, revision);
  }
  int64_t Revision() const override { return inner_->Revision(); }
  absl::StatusOr<std::unique_ptr<kv::Watch>> WatchPrefix(
      std::string prefix, int64_t after_revision,
      std::function<void(const std::vector<kv::Event>&)> on_events) override {
    return inner_->WatchPrefix(std::move(prefix), after_revision, std::move(on_events));
  }
  absl::StatusOr<int64_t> Commit(const kv::Txn& txn) override;

 private:
  kv::Store* const inner_;
  bool crashed_ = false;
};

}  // namespace mtp::testing
