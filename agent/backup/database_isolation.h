// Taking away from this process all that the check of a client's databases does not need.
#pragma once

#include <absl/status/status.h>

namespace mtp {

// INVALID_ARGUMENT for what Isolate could not do: to stay root, or to change without being root.
absl::Status CheckIdentity(int uid, int gid);

// As root: the working folder becomes the root of a file system that holds nothing else (no device,
// program or set-user-ID file in it counts), with no network, no other process and no IPC in sight;
// then this process becomes `uid` and `gid` without capabilities. Without root, where uid and gid
// must be -1, only what any process may give up: new privileges, core dumps, memory, time.
//
// Forks, as a process can enter a new PID namespace only so: returns in the child, and ends the
// caller with the child's exit code (128 + N for signal N). Both die with their parent. Call it
// first, with one thread. INVALID_ARGUMENT for a wrong uid or gid, else the failed call's error;
// then do not go on.
absl::Status Isolate(int uid, int gid);

}  // namespace mtp
