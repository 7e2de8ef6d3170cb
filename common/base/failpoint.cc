#include "common/base/failpoint.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace mtp {
namespace {

void Trace(const std::string& point, const std::string& key) {
  const std::string line = absl::StrCat("failpoint ", point, " ", key, "\n");
  // In one piece, so that lines of several threads do not mix; one that is lost fails the test.
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

std::function<void(const std::string&, const std::string&)> FailpointFromEnvironment() {
  const char* const value = std::getenv("MTP_FAILPOINT");
  if (value == nullptr) return nullptr;
  std::vector<std::string> parts = absl::StrSplit(value, ':');
  const std::string wanted = parts.front();
  parts.erase(parts.begin());
  if (wanted == "trace") return Trace;
  return [wanted, parts](const std::string& point, const std::string& key) {
    const bool here = point == wanted &&
                      std::all_of(parts.begin(), parts.end(),
                                  [&](const auto& part) { return absl::StrContains(key, part); });
    if (here) kill(getpid(), SIGKILL);
  };
}

}  // namespace mtp
