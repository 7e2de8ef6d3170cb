// What OpenClaw says of its channels.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>
#include <vector>

namespace mtp {

struct LostChannel {
  std::string channel;  // `telegram`
  // `telegram is not connected: <its last error>`. Whatever the channel's server has answered may
  // be in it.
  std::string why;
};

// Of an answer to `channels.status`: each channel with an account in use that is not connected or
// does not run, and the first such account's error; what says nothing of either is not lost.
// INTERNAL when it is no such answer. Pure.
//
// `/readyz` keeps silent about a channel for the first 120 s after its start, also when it was
// connected and is lost (2026.9.6: `startup-connect-grace`); this does not.
absl::StatusOr<std::vector<LostChannel>> LostChannels(absl::string_view channels_status);

// Of the same answer: each channel with an account in use that the gateway did not even try to
// start, and says why. INTERNAL as above. Pure.
//
// After three starts within 300 s that did not end by a stop OpenClaw starts no channel by itself
// (2026.9.6: `restart-loop breaker`). It goes on without for as long as it runs, `/readyz` 200 all
// the while: `channels.start` starts one.
absl::StatusOr<std::vector<LostChannel>> HeldBackChannels(absl::string_view channels_status);

}  // namespace mtp
