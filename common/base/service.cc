#include "common/base/service.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>

namespace mtp {

const std::vector<std::string>& UnitFolders() {
  static const auto* const folders = new std::vector<std::string>{
      "/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"};
  return *folders;
}

std::string StartCommand(const std::string& services, const std::string& by_hand,
                         const std::string& data_dir, const std::string& default_data_dir,
                         const std::vector<std::string>& folders) {
  const std::string unit = absl::StrCat(services.substr(0, services.find(' ')), ".service");
  const bool installed = std::any_of(folders.begin(), folders.end(), [&](const auto& folder) {
    return access(absl::StrCat(folder, "/", unit).c_str(), F_OK) == 0;
  });
  if (!installed || data_dir != default_data_dir) return by_hand;
  return absl::StrCat("sudo systemctl enable --now ", services);
}

}  // namespace mtp
