#include "tests/simulation/plants.h"

#include <absl/strings/match.h>

#include <algorithm>

#include "mtp/state/v1/state.pb.h"
#include "tests/simulation/sim_engines.h"

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

// Whether it creates, or ends, an operation of that kind.
bool CreatesOrEnds(kv::Txn& txn, const std::string& kind, bool ends) {
  bool found = false;
  ChangeOperation(txn, [&](state::v1::OperationRecord& record) {
    const v1::Operation& operation = record.operation();
    found = operation.kind() == kind &&
            (ends ? operation.has_end_time() : operation.state() == v1::OPERATION_STATE_PENDING);
  });
  return found;
}

// Whether it says that the step, the last one of its kind, is done.
bool EndsStep(kv::Txn& txn, const std::string& kind, const std::string& step) {
  bool found = false;
  ChangeOperation(txn, [&](state::v1::OperationRecord& record) {
    const auto& steps = record.operation().steps();
    found = record.operation().kind() == kind && !steps.empty() && steps.rbegin()->name() == step &&
            steps.rbegin()->state() == v1::STEP_STATE_DONE;
  });
  return found;
}

// Calls `change` with each rollout that the transaction writes, and puts it back.
template <typename Change>
void ChangeRollout(kv::Txn& txn, Change change) {
  for (auto& [key, value] : txn.puts) {
    if (!absl::StartsWith(key, "/rollouts/")) continue;
    state::v1::RolloutRecord record;
    record.ParseFromString(value);
    change(*record.mutable_rollout());
    value = record.SerializeAsString();
  }
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

const std::vector<PlantedDefect>& AllPlants() {
  static const auto* const plants = new std::vector<PlantedDefect>{
      {Plant::kBeginNotPersisted, "begin-not-persisted", "a step runs before the store says so"},
      {Plant::kWakeLost, "wake-lost", "a delivered wake is dropped"},
      {Plant::kLockReleasedEarly, "lock-released-early",
       "the lock goes with the first step instead of the end"},
      {Plant::kLockKept, "lock-kept", "the end leaves the lock behind"},
      {Plant::kRequestForgotten, "request-forgotten", "request ids are not remembered"},
      {Plant::kActionStartedTwice, "action-started-twice",
       "an agent starts a key again instead of attaching to it"},
      {Plant::kUndoSkipped, "undo-skipped", "one step's compensation is missing"},
      {Plant::kStepChangesDropped, "step-changes-dropped",
       "a step's own changes are left out of the transaction that ends it"},
      {Plant::kCommitFaked, "commit-faked", "the store says yes and writes nothing"},
      {Plant::kFactsDropped, "facts-dropped", "facts are not persisted"},
      {Plant::kKeyShared, "key-shared", "actions are keyed by the step alone"},
      {Plant::kEndRewritten, "end-rewritten", "an ended operation is changed again"},
      {Plant::kReservationDropped, "reservation-dropped", "a placement does not reserve"},
      {Plant::kClaimKept, "claim-kept", "the bot of a removed tenant stays claimed"},
      {Plant::kEpochReused, "epoch-reused", "epochs do not survive the tenant"},
      {Plant::kRemoveIgnored, "remove-ignored",
       "an agent says that it removed the container and did not"},
      {Plant::kSpecRewritten, "spec-rewritten", "the system changes what the operator asked for"},
      {Plant::kSetReservesNothing, "set-reserves-nothing",
       "another reservation is promised and not taken"},
      {Plant::kLimitDropped, "limit-dropped", "another limit never reaches the container"},
      {Plant::kSecretsNotSettled, "secrets-not-settled",
       "other secrets reach the container and not the record"},
      {Plant::kSecretsNotBack, "secrets-not-back",
       "the way back of other secrets brings none of the two"},
      {Plant::kRoomKept, "room-kept", "room of a sandbox is not given back"},
      {Plant::kDrillInPlace, "drill-in-place",
       "a drill puts the backup into the tenant's own folder"},
      {Plant::kStateNotBack, "state-not-back", "the way back of an update leaves the newer state"},
      {Plant::kImageNotBack, "image-not-back", "the way back of an update starts another image"},
      {Plant::kSoakCutShort, "soak-cut-short", "nobody looks whether the new image stays ready"},
      {Plant::kRecordNotUpdated, "record-not-updated",
       "an update does not note which image runs now"},
      {Plant::kRolloutGoesOn, "rollout-goes-on", "a rollout does not stop at a failure"},
      {Plant::kRolloutAtOnce, "rollout-at-once", "a rollout updates everybody at once"},
      {Plant::kPauseForgotten, "pause-forgotten", "a rollout that was paused goes on"},
      {Plant::kStopsUnreached, "stops-unreached", "a rollout stops others while it updates one"},
      {Plant::kBackupNotRecorded, "backup-not-recorded",
       "a backup is written and not in the catalogue"},
      {Plant::kLeftSnapshotForgotten, "left-snapshot-forgotten",
       "nobody notes what a backup that was called off may have left"},
      {Plant::kRestoreIgnored, "restore-ignored",
       "a restore says that it is done and has put nothing in place"},
      {Plant::kRestoreOfAnother, "restore-of-another",
       "a restore takes the newest backup instead of the one that it is told"},
      {Plant::kVerifyFaked, "verify-faked", "a backup counts as verified that nobody has read"},
      {Plant::kMissedNotRun, "missed-not-run",
       "after a downtime, missed backups are not caught up"},
      {Plant::kMissedRunEach, "missed-run-each",
       "after a downtime, one backup for each missed time"},
      {Plant::kGuardAsleep, "guard-asleep", "nobody ends what runs when a lease is over"},
      {Plant::kLeaseFromArrival, "lease-from-arrival",
       "a lease counts from the arrival of its grant, however late that is"},
      {Plant::kMarginSkipped, "margin-skipped", "a host's lease counts as over before it is"},
      {Plant::kGrantNamesAll, "grant-names-all", "a lease names tenants that are placed elsewhere"},
      {Plant::kStayMoves, "stay-moves", "tenants that are to stay are placed elsewhere"},
      {Plant::kNoFreeze, "no-freeze", "tenants are moved though their hosts vanished together"},
      {Plant::kEvictionForgotten, "eviction-forgotten",
       "nobody remembers what a lost host still has"},
      {Plant::kMakesNoWay, "makes-no-way",
       "an update goes on while its tenant is being placed elsewhere"},
      {Plant::kLockNotGivenBack, "lock-not-given-back",
       "a lock that was borrowed in vain is nobody's afterwards"},
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
    case Plant::kLockNotGivenBack:
      ChangeOperation(txn, [&txn](state::v1::OperationRecord& record) {
        if (record.lender().empty() || !record.operation().has_end_time()) return;
        for (const std::string& lock : record.locks()) {
          DropPuts(txn, [&lock](const std::string& key) { return key == lock; });
          txn.deletes.push_back(lock);
        }
      });
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
    case Plant::kSetReservesNothing:
      if (!CreatesOrEnds(txn, "set", /*ends=*/false)) return;
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/allocations/"); });
      return;
    case Plant::kRoomKept:
      if (!CreatesOrEnds(txn, "drill", /*ends=*/true)) return;
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/allocations/"); });
      return;
    case Plant::kSecretsNotSettled:
      if (!EndsStep(txn, "reconfigure", "settle")) return;
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/secrets/"); });
      return;
    case Plant::kRecordNotUpdated:
      if (!EndsStep(txn, "update", "record")) return;
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/tenants/"); });
      return;
    case Plant::kBackupNotRecorded:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/backups/"); });
      return;
    case Plant::kLeftSnapshotForgotten:
      DropPuts(txn,
               [](const std::string& key) { return absl::StartsWith(key, "/left-snapshots/"); });
      return;
    case Plant::kStayMoves:
      for (auto& [key, value] : txn.puts) {
        if (!absl::StartsWith(key, "/tenants/")) continue;
        state::v1::TenantRecord record;
        record.ParseFromString(value);
        record.mutable_resolved()->set_failover_policy(v1::FAILOVER_POLICY_FAILOVER);
        record.set_leased(record.provisioned());
        value = record.SerializeAsString();
      }
      return;
    case Plant::kEvictionForgotten:
      DropPuts(txn, [](const std::string& key) { return absl::StartsWith(key, "/evictions/"); });
      return;
    case Plant::kRolloutGoesOn:
      ChangeRollout(txn, [](v1::Rollout& rollout) {
        for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
          if (tenant.state() == v1::ROLLOUT_TENANT_STATE_FAILED) {
            tenant.set_state(v1::ROLLOUT_TENANT_STATE_UPDATED);
          }
        }
      });
      return;
    case Plant::kRolloutAtOnce:
      ChangeRollout(txn, [](v1::Rollout& rollout) {
        rollout.mutable_settings()->set_max_unavailable(100);
        for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) tenant.set_wave(0);
      });
      return;
    case Plant::kPauseForgotten:
      ChangeRollout(txn, [](v1::Rollout& rollout) {
        if (rollout.state() == v1::ROLLOUT_STATE_PAUSED) {
          rollout.set_state(v1::ROLLOUT_STATE_RUNNING);
        }
      });
      return;
    case Plant::kGuardAsleep:
    case Plant::kLeaseFromArrival:
    case Plant::kMarginSkipped:
    case Plant::kMakesNoWay:
    case Plant::kGrantNamesAll:
    case Plant::kNoFreeze:
    case Plant::kLimitDropped:
    case Plant::kSecretsNotBack:
    case Plant::kDrillInPlace:
    case Plant::kStateNotBack:
    case Plant::kImageNotBack:
    case Plant::kSoakCutShort:
    case Plant::kStopsUnreached:
    case Plant::kRestoreIgnored:
    case Plant::kRestoreOfAnother:
    case Plant::kVerifyFaked:
    case Plant::kMissedNotRun:
    case Plant::kMissedRunEach:
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

void TamperWithRequest(Plant plant, v1::EnsureActionRequest& request) {
  const bool undo = absl::StrContains(request.key(), "/undo");
  // The agent does something else, which ends well.
  const bool left_out = (plant == Plant::kLimitDropped && request.has_limit()) ||
                        (plant == Plant::kStateNotBack && undo && request.has_restore()) ||
                        (plant == Plant::kRestoreIgnored && !undo && request.has_restore()) ||
                        (plant == Plant::kVerifyFaked && request.has_verify());
  if (left_out) {
    request.mutable_check();
  } else if (plant == Plant::kDrillInPlace && request.has_drill()) {
    v1::DrillBackupAction drill = request.drill();
    *request.mutable_restore()->mutable_backup() = drill.backup();
    *request.mutable_restore()->mutable_repository() = drill.repository();
  } else if (plant == Plant::kImageNotBack && undo && request.has_apply()) {
    request.mutable_apply()->mutable_spec()->set_image(PinnedImage(kImages));
  } else if (plant == Plant::kSecretsNotBack && undo && request.has_reconfigure()) {
    request.mutable_reconfigure()->mutable_secrets()->set_telegram_token("1:none");
  } else if (plant == Plant::kSoakCutShort && request.has_soak()) {
    request.mutable_soak()->clear_duration();
  }
}

}  // namespace mtp::simulation
