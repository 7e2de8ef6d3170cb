#include "tests/support/paths.h"

namespace mtp::testing {

std::string SourcePath(const std::string& relative) { return MTP_SOURCE_DIR "/" + relative; }
std::string BuiltPath(const std::string& relative) { return MTP_BINARY_DIR "/" + relative; }

}  // namespace mtp::testing
