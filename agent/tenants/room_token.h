// Ends a program that writes to the tenants' disk before it has used that up.
#pragma once

#include <absl/status/status.h>

#include <atomic>

#include "common/base/disk_floor.h"
#include "common/process/subprocess.h"

namespace mtp {

// Thread-safe. The arguments must outlive it, and may be null: nobody asks for the end, or what is
// written takes nothing from the tenants.
class RoomToken final : public CancelToken {
 public:
  RoomToken(const CancelToken* outer, const DiskFloor* floor) : outer_(outer), floor_(floor) {}

  bool cancelled() const override;
  // Of a run that did not succeed: RESOURCE_EXHAUSTED when it was ended for lack of room, else OK.
  absl::Status Ended() const;

 private:
  const CancelToken* const outer_;
  const DiskFloor* const floor_;
  mutable std::atomic<bool> full_{false};
};

}  // namespace mtp
