#include "agent/tenants/room_token.h"

#include <algorithm>

namespace mtp {

bool RoomToken::cancelled() const {
  if (outer_ != nullptr && outer_->cancelled()) return true;
  const auto reached = [](const DiskFloor* floor) { return !floor->Check().ok(); };
  if (!full_ && std::any_of(floors_.begin(), floors_.end(), reached)) full_ = true;
  return full_;
}

absl::Status RoomToken::Ended() const {
  if (!full_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      "it was ended before the host's disk was used up: what is free is left to what the tenants "
      "write; free some of it first");
}

}  // namespace mtp
