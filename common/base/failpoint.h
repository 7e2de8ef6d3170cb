// Failure points for tests: a program dies, as by kill -9, at a named point of its work.
#pragma once

#include <functional>
#include <string>

namespace mtp {

// From MTP_FAILPOINT=`point:part[:part…]`, for example `after-step:provision/:/start-container`:
// the process is killed the first time it passes that point with a key that holds every part. With
// MTP_FAILPOINT=`trace` it lives, and writes a line `failpoint <point> <key>` to standard error for
// each point that it passes. Null, so that points cost nothing, when the variable is not set.
// Which points and keys there are: operations::Engine::Options, ActionsDeps. The result may be
// called by any thread.
std::function<void(const std::string& point, const std::string& key)> FailpointFromEnvironment();

}  // namespace mtp
