// Variables that an operator may give a tenant's container. Which names a fleet allows is its
// settings' matter; these are the rules of every fleet.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/map.h>

#include <string>

namespace mtp {

// INVALID_ARGUMENT for more than 32 variables, for a name that is not 1 to 64 letters, digits and
// underscores beginning with no digit, for one that the system sets itself or that decides which
// code runs (`LD_…`), and for a value of more than 1024 bytes or with control characters. The
// sentence shows the name, never the value.
absl::Status CheckEnvironment(const google::protobuf::Map<std::string, std::string>& variables);

bool SameEnvironment(const google::protobuf::Map<std::string, std::string>& a,
                     const google::protobuf::Map<std::string, std::string>& b);

}  // namespace mtp
