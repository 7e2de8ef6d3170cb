// Where others reach this machine.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace mtp {

// The address of this machine that packets to `peer` (`host:port`, IPv4) leave from; nothing is
// sent. NOT_FOUND when there is no way there.
absl::StatusOr<std::string> OwnAddressTowards(const std::string& peer);

}  // namespace mtp
