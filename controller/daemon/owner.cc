#include "controller/daemon/owner.h"

#include <absl/strings/str_cat.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/base/atomic_file.h"

namespace mtp {
namespace {

std::string UserName(uid_t uid) {
  std::array<char, 4096> text;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, text.data(), text.size(), &found) == 0 && found != nullptr) {
    return entry.pw_name;
  }
  return absl::StrCat("#", uid);
}

}  // namespace

absl::Status CheckOwner(const std::string& data_dir) {
  struct stat facts;
  if (stat(data_dir.c_str(), &facts) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, data_dir);
  }
  if (facts.st_uid == geteuid()) return absl::OkStatus();
  const std::string owner = UserName(facts.st_uid);
  return absl::FailedPreconditionError(absl::StrCat(
      data_dir, " belongs to ", owner, ", who alone may write there: run the same as `sudo -u ",
      owner, " mtp-controller …`"));
}

}  // namespace mtp
