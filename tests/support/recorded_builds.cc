#include "tests/support/recorded_builds.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/paths.h"

namespace mtp::testing {

std::vector<std::string> RecordedBuilds() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SourcePath("tests/golden"))) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string TestNameOf(const std::string& build) {
  std::string name = build;
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

}  // namespace mtp::testing
