// Planted defects: each breaks one promise on purpose, and some seed must notice. A check that was
// never seen to fail proves nothing.
#pragma once

#include <string>
#include <vector>

#include "common/kv/store.h"

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
};

// Name on the command line; `none` first.
const std::vector<std::pair<std::string, Plant>>& AllPlants();

// What the defect does to a transaction of the controller.
void TamperWith(Plant plant, kv::Txn& txn);

}  // namespace mtp::simulation
