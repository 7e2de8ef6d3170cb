// A copy of the state as bytes: a protobuf message, compressed.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>

#include "common/base/secret_string.h"
#include "mtp/state/v1/state_copy.pb.h"

namespace mtp {

// The layout that this build writes and reads.
inline constexpr int32_t kCopyFormat = 1;

absl::StatusOr<SecretString> PackCopy(const state::v1::StateCopy& copy);

// DATA_LOSS for bytes that PackCopy did not make, or that are changed; FAILED_PRECONDITION for
// another layout.
absl::StatusOr<state::v1::StateCopy> UnpackCopy(absl::string_view packed);

// Overwrites what the message holds of secrets.
void WipeCopy(state::v1::StateCopy* copy);

}  // namespace mtp
