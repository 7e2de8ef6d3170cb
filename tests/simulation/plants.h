// Planted defects: each breaks one promise on purpose, and some seed must notice. A check that was
// never seen to fail proves nothing.
#pragma once

#include <string>
#include <vector>

#include "common/kv/store.h"
#include "mtp/v1/agent.pb.h"

namespace mtp::simulation {

enum class Plant {
  kNone,
  kBeginNotPersisted,   // a step runs before the store says so
  kWakeLost,            // a delivered wake is dropped
  kLockReleasedEarly,   // the lock goes with the first step instead of the end
  kLockKept,            // the end leaves the lock behind
  kRequestForgotten,    // request ids are not remembered
  kActionStartedTwice,  // an agent starts a key again instead of attaching to it
  kUndoSkipped,         // one step's compensation is missing
  kStepChangesDropped,  // a step's own changes are left out of the transaction that ends it
  kCommitFaked,         // the store says yes and writes nothing
  kFactsDropped,        // facts are not persisted
  kKeyShared,           // actions are keyed by the step alone
  kEndRewritten,        // an ended operation is changed again
  kReservationDropped,  // a placement does not reserve
  kClaimKept,           // the bot of a removed tenant stays claimed
  kEpochReused,         // epochs do not survive the tenant
  kRemoveIgnored,       // an agent says that it removed the container and did not
  kSpecRewritten,       // the system changes what the operator asked for
  kSetReservesNothing,  // another reservation is promised and not taken
  kLimitDropped,        // another limit never reaches the container
  kSecretsNotSettled,   // other secrets reach the container and not the record
  kSecretsNotBack,      // the way back of other secrets brings none of the two
  kRoomKept,            // room of a sandbox is not given back
  kDrillInPlace,        // a drill puts the backup into the tenant's own folder
  kStateNotBack,        // the way back of an update leaves the newer state
  kImageNotBack,        // the way back of an update starts another image
  kSoakCutShort,        // nobody looks whether the new image stays ready
  kRecordNotUpdated,    // an update does not note which image runs now
  kRolloutGoesOn,       // a rollout does not stop at a failure
  kRolloutAtOnce,       // a rollout updates everybody at once
  kPauseForgotten,      // a rollout that was paused goes on
  kStopsUnreached,      // a rollout stops others while it updates one
  kBackupNotRecorded,   // a backup is written and not in the catalogue
  kRestoreIgnored,      // a restore says that it is done and has put nothing in place
  kRestoreOfAnother,    // a restore takes the newest backup instead of the one that it is told
  kVerifyFaked,         // a backup counts as verified that nobody has read
  kMissedNotRun,        // after a downtime, missed backups are not caught up
  kMissedRunEach,       // after a downtime, one backup for each missed time
  kGuardAsleep,         // nobody ends what runs when a lease is over
  kLeaseFromArrival,    // a lease counts from the arrival of its grant, however late that is
  kMarginSkipped,       // a host's lease counts as over before it is
  kGrantNamesAll,       // a lease names tenants that are placed elsewhere
  kStayMoves,           // tenants that are to stay are placed elsewhere
  kNoFreeze,            // tenants are moved though their hosts vanished together
  kEvictionForgotten,   // nobody remembers what a lost host still has
};

// Name on the command line; `none` first.
const std::vector<std::pair<std::string, Plant>>& AllPlants();

// What the defect does to a transaction of the controller.
void TamperWith(Plant plant, kv::Txn& txn);
// What the defect does to what the controller asks of an agent.
void TamperWithRequest(Plant plant, v1::EnsureActionRequest& request);

}  // namespace mtp::simulation
