// The older builds that are recorded in tests/golden.
#pragma once

#include <string>
#include <vector>

namespace mtp::testing {

// Names of their folders, sorted.
std::vector<std::string> RecordedBuilds();

// The name as GoogleTest takes it for an instance of a test.
std::string TestNameOf(const std::string& build);

}  // namespace mtp::testing
