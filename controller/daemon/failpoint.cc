#include "controller/daemon/failpoint.h"

#include <absl/strings/match.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

namespace mtp {

std::function<void(const std::string&, const std::string&)> FailpointFromEnvironment() {
  const char* const value = std::getenv("MTP_FAILPOINT");
  if (value == nullptr) return nullptr;
  const std::string text = value;
  const size_t colon = text.find(':');
  const std::string wanted = text.substr(0, colon);
  const std::string part = colon == std::string::npos ? "" : text.substr(colon + 1);
  return [wanted, part](const std::string& point, const std::string& key) {
    if (point == wanted && absl::StrContains(key, part)) kill(getpid(), SIGKILL);
  };
}

}  // namespace mtp
