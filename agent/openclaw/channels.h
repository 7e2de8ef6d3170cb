// What OpenClaw says of its channels.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp {

// Of an answer to `channels.status`: the first account in use that is not connected, as
// `telegram is not connected: <its last error>`; empty when all are, and of what says nothing of a
// connection. Whatever a channel's server has answered may be in it. INTERNAL when it is no such
// answer. Pure.
//
// `/readyz` keeps silent about a channel for the first 120 s after its start, also when it was
// connected and is lost (2026.9.6: `startup-connect-grace`); this does not.
absl::StatusOr<std::string> LostChannel(absl::string_view channels_status);

}  // namespace mtp
