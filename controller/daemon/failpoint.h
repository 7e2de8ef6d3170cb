// Failure points of the controller for tests: the process dies at a named point.
#pragma once

#include <functional>
#include <string>

namespace mtp {

// From MTP_FAILPOINT=`point:part-of-key`, for example `after-step:start-container`: the process is
// killed (as by kill -9) the first time the engine passes that point with a key that holds the
// part. Null when the variable is not set.
std::function<void(const std::string& point, const std::string& key)> FailpointFromEnvironment();

}  // namespace mtp
