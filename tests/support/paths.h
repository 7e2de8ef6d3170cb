// Where the tests find what was built and what is in the tree. In functions: definitions on every
// compiler's command line would make each checkout's objects its own in the compiler cache.
#pragma once

#include <string>

namespace mtp::testing {

// `relative` beneath the source tree.
std::string SourcePath(const std::string& relative);
// `relative` beneath the build folder.
std::string BuiltPath(const std::string& relative);

}  // namespace mtp::testing
