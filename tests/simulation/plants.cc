#include "tests/simulation/plants.h"

#include <absl/strings/match.h>

#include <algorithm>

#include "mtp/state/v1/state.pb.h"

namespace mtp::simulation {
namespace {

// Calls `change` with the operation that the transaction writes, if any, and puts it back.
template <typename Change>
void ChangeOperation(kv::Txn& txn, Change change) {
  for (auto& [key, value] : txn.puts) {
    if (!absl::StartsWith(key, "/operations/")) continue;
    state::v1::OperationRecord record;
    record.ParseFromString(value);
    change(record);
    value = record.SerializeAsString();
  }
}

bool EndsOperation(kv::Txn& txn) {
  bool ends = false;
  ChangeOperation(txn, [&ends](state::v1::OperationRecord& record) {
    ends = record.operation().has_end_time();
  });
  return ends;
}

void DropDeletes(kv::Txn& txn, absl::string_view prefix) {
  txn.deletes.erase(
      std::remove_if(txn.deletes.begin(), txn.deletes.end(),
                     [&](const std::string& key) { return absl::StartsWith(key, prefix); }),
      txn.deletes.end());
}

template <typename Predicate>
void DropPuts(kv::Txn& txn, Predicate predicate) {
  txn.puts.erase(std::remove_if(txn.puts.begin(), txn.puts.end(),
                                [&](const auto& put) { return predicate(put.first); }),
                 txn.puts.end());
}

}  // namespace

const std::vector<std::pair<std::string, Plant>>& AllPlants() {
  static const auto* const plants = new std::vector<std::pair<std::string, Plant>>{
      {"none", Plant::kNone},
      {"begin-not-persisted", Plant::kBeginNotPersisted},
      {"wake-lost", Plant::kWakeLost},
      {"lock-released-early", Plant::kLockReleasedEarly},
      {"lock-kept", Plant::kLockKept},
      {"request-forgotten", Plant::kRequestForgotten},
      {"action-started-twice", Plant::kActionStartedTwice},
      {"undo-skipped", Plant::kUndoSkipped},
      {"step-changes-dropped", Plant::kStepChangesDropped},
      {"commit-faked", Plant::kCommitFaked},
      {"facts-dropped", Plant::kFactsDropped},
      {"key-shared", Plant::kKeyShared},
      {"end-rewritten", Plant::kEndRewritten},
      {"reservation-dropped", Plant::kReservationDropped},
      {"claim-kept", Plant::kClaimKept},
      {"epoch-reused", Plant::kEpochReused},
      {"remove-ignored", Plant::kRemoveIgnored},
      {"spec-rewritten", Plant::kSpecRewritten},
  };
  return *plants;
}

void TamperWith(Plant plant, kv::Txn& txn) {
  switch (plant) {
    case Plant::kBeginNotPersisted:
      ChangeOperation(txn, [](state::v1::OperationRecord& record) {
        for (v1::OperationStep& step : *record.mutable_operation()->mutable_steps()) {
          if (step.state() == v1::STEP_STATE_RUNNING) step.set_state(v1::STEP_STATE_PENDING);
        }
      });
      return;
    case Plant::kLockReleasedEarly:
      ChangeOperation(txn, [&txn](state::v1::OperationRecord& record) {
        if (record.operation().state() != v1::OPERATION_STATE_RUNNING || record.step() != 1) return;
        for (const std::string& lock : record.locks()) txn.Delete(lock);
      });
      return;
    case Plant::kLockKept:
      if (!EndsOperation(txn)) return;
      DropDeletes(txn, "/locks/");
      return;
    case Plant::kRequestForgotten:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/requests/"); });
      return;
    case Plant::kStepChangesDropped:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/counters/"); });
      return;
    case Plant::kCommitFaked:
      // Only creations: any other one is noticed by the next compare, which is the design at work.
      if (txn.compares.size() > 1) txn = {};
      return;
    case Plant::kFactsDropped:
      ChangeOperation(txn, [](state::v1::OperationRecord& record) { record.clear_facts(); });
      return;
    case Plant::kReservationDropped:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/allocations/"); });
      return;
    case Plant::kClaimKept:
      DropDeletes(txn, "/bots/");
      return;
    case Plant::kEpochReused:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/epochs/"); });
      return;
    case Plant::kSpecRewritten:
      for (auto& [key, value] : txn.puts) {
        if (!absl::StartsWith(key, "/tenants/")) continue;
        state::v1::TenantRecord record;
        record.ParseFromString(value);
        if (!record.provisioned()) continue;
        record.mutable_spec()->set_memory_reservation_mib(1);
        value = record.SerializeAsString();
      }
      return;
    case Plant::kEndRewritten:
    case Plant::kRemoveIgnored:
    case Plant::kNone:
    case Plant::kWakeLost:
    case Plant::kActionStartedTwice:
    case Plant::kUndoSkipped:
    case Plant::kKeyShared:
      return;  // not of the store
  }
}

}  // namespace mtp::simulation
