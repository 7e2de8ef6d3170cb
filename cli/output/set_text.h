// What `tenant set` says at its end.
#pragma once

#include <absl/time/time.h>

#include <string>

#include "mtp/v1/operation.pb.h"

namespace mtp::cli {

// `failover`: the policy that was asked for; empty when it was not.
std::string SetText(const std::string& tenant, const std::string& failover,
                    const v1::Operation& operation, absl::Time now, bool colour);

}  // namespace mtp::cli
