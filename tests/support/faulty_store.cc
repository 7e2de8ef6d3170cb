#include "tests/support/faulty_store.h"

namespace mtp::testing {

void FaultyStore::Crash() {
  if (crashed_) return;
  crashed_ = true;
  if (on_crash) on_crash();
}

absl::StatusOr<int64_t> FaultyStore::Commit(const kv::Txn& txn) {
  const absl::Status dead = absl::InternalError("the process is dead");
  if (crashed_) return dead;
  const CommitFault fault = choose_fault ? choose_fault(txn) : CommitFault::kNone;
  switch (fault) {
    case CommitFault::kNone:
      break;
    case CommitFault::kDiskFull:
      return absl::ResourceExhaustedError("the disk is full");
    case CommitFault::kDiskError:
      return absl::InternalError("the disk is broken");
    case CommitFault::kCrashBefore:
      Crash();
      return dead;
    case CommitFault::kCrashAfter:
      break;
  }
  kv::Txn written = txn;
  if (tamper) tamper(written);
  absl::StatusOr<int64_t> revision = inner_->Commit(written);
  if (fault == CommitFault::kCrashAfter) {
    Crash();
    return dead;
  }
  return revision;
}

}  // namespace mtp::testing
