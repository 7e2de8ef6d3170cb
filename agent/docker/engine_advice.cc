#include "agent/docker/engine_advice.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

namespace mtp {
namespace {

constexpr int kLeastMajor = 24;

}  // namespace

std::string EngineAdvice(const EngineInfo& info) {
  const std::string& version = info.engine_version;
  int major = kLeastMajor;
  if (absl::SimpleAtoi(version.substr(0, version.find('.')), &major) && major < kLeastMajor) {
    return absl::StrCat("its Docker Engine ", version, " is too old; ", kLeastMajor,
                        " or newer is needed");
  }
  if (!info.live_restore) {
    return "its tenants stop when its Docker Engine does; put \"live-restore\": true into "
           "/etc/docker/daemon.json and reload the engine";
  }
  return "";
}

}  // namespace mtp
