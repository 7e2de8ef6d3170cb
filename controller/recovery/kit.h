// The recovery kit that `mtp-cli recovery-kit` wrote, read back.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "mtp/v1/backup.pb.h"

namespace mtp {

// Also its JSON form. INVALID_ARGUMENT with the place for a text that is no kit; no secret of it is
// repeated.
absl::StatusOr<v1::RecoveryKit> ParseKit(const std::string& text);

}  // namespace mtp
