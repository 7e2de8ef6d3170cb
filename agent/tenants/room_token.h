// Ends a program that writes to the tenants' disk, or to another one that they need, before it has
// used that up.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <utility>
#include <vector>

#include "common/base/disk_floor.h"
#include "common/process/subprocess.h"

namespace mtp {

// Thread-safe. The arguments must outlive it. `outer` may be null: nobody asks for the end. Without
// any floor what is written takes nothing from the tenants.
class RoomToken final : public CancelToken {
 public:
  RoomToken(const CancelToken* outer, std::vector<const DiskFloor*> floors)
      : outer_(outer), floors_(std::move(floors)) {}

  bool cancelled() const override;
  // Of a run that did not succeed: RESOURCE_EXHAUSTED when it was ended for lack of room, else OK.
  absl::Status Ended() const;

 private:
  const CancelToken* const outer_;
  const std::vector<const DiskFloor*> floors_;
  mutable std::atomic<bool> full_{false};
};

}  // namespace mtp
