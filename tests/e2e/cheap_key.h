// Opens a repository of restic without the half second that its key costs each time.
#pragma once

#include <string>

namespace mtp::testing {

// Replaces the key of the repository, a local folder that `password` opens, by one whose scrypt
// costs nothing; password and master key stay. Returns what went wrong, empty when all is well.
std::string MakeKeyCheap(const std::string& repository, const std::string& password);

}  // namespace mtp::testing
