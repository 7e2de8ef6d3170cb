// Planted defects: each breaks one promise on purpose, and some seed must notice. A check that was
// never seen to fail proves nothing.
#pragma once

#include <string>
#include <vector>

#include "common/kv/store.h"
#include "mtp/v1/agent.pb.h"

namespace mtp::simulation {

// What each is: AllPlants().
enum class Plant {
  kNone,
  kBeginNotPersisted,
  kWakeLost,
  kLockReleasedEarly,
  kLockKept,
  kRequestForgotten,
  kActionStartedTwice,
  kUndoSkipped,
  kStepChangesDropped,
  kCommitFaked,
  kFactsDropped,
  kKeyShared,
  kEndRewritten,
  kReservationDropped,
  kClaimKept,
  kEpochReused,
  kRemoveIgnored,
  kSpecRewritten,
  kSetReservesNothing,
  kLimitDropped,
  kSecretsNotSettled,
  kSecretsNotBack,
  kRoomKept,
  kDrillInPlace,
  kStateNotBack,
  kImageNotBack,
  kSoakCutShort,
  kRecordNotUpdated,
  kRolloutGoesOn,
  kRolloutAtOnce,
  kPauseForgotten,
  kStopsUnreached,
  kBackupNotRecorded,
  kLeftSnapshotForgotten,
  kRestoreIgnored,
  kRestoreOfAnother,
  kVerifyFaked,
  kMissedNotRun,
  kMissedRunEach,
  kGuardAsleep,
  kLeaseFromArrival,
  kMarginSkipped,
  kGrantNamesAll,
  kStayMoves,
  kNoFreeze,
  kEvictionForgotten,
  kMakesNoWay,
  kLockNotGivenBack,
};

struct PlantedDefect {
  Plant plant;
  const char* name;  // on the command line
  const char* what;
};
// kNone is not among them.
const std::vector<PlantedDefect>& AllPlants();

// What the defect does to a transaction of the controller.
void TamperWith(Plant plant, kv::Txn& txn);
// What the defect does to what the controller asks of an agent.
void TamperWithRequest(Plant plant, v1::EnsureActionRequest& request);

}  // namespace mtp::simulation
