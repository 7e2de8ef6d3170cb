#include "agent/tenants/drill_sandboxes.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "agent/backup/beneath.h"
#include "agent/backup/tree.h"
#include "agent/tenants/restore_folders.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kDrills[] = ".drills";
constexpr size_t kMaxSandboxes = 10'000;
constexpr absl::Duration kNoGrace = absl::Seconds(1);

}  // namespace

DrillSandboxes::DrillSandboxes(std::string data_path, Engine* engine, Compose* compose)
    : data_path_(std::move(data_path)), engine_(engine), compose_(compose) {}

std::string DrillSandboxes::Folder(const TenantName& name) {
  return absl::StrCat(kDrills, "/", name.value(), "/", kBackupData);
}

std::string DrillSandboxes::Path(const TenantName& name) const {
  return absl::StrCat(data_path_, "/", Folder(name));
}

absl::Status DrillSandboxes::Fill(const TenantName& name, const std::string& unpacked) const {
  const std::string home = absl::StrCat(data_path_, "/", kDrills);
  if (mkdir(home.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("make ", home));
  }
  const std::string sandbox = absl::StrCat(home, "/", name.value());
  if (renameat2(AT_FDCWD, unpacked.c_str(), AT_FDCWD, sandbox.c_str(), RENAME_NOREPLACE) != 0) {
    return ErrnoStatus(errno, absl::StrCat("move the backup to ", sandbox));
  }
  return absl::OkStatus();
}

absl::Status DrillSandboxes::Remove(const TenantName& name) {
  absl::MutexLock lock(&mutex_);
  return RemoveLocked(name);
}

absl::Status DrillSandboxes::RemoveLocked(const TenantName& name) {
  auto details = engine_->InspectContainer(SandboxContainer(name));
  if (details.ok()) {
    MTP_RETURN_IF_ERROR(Annotate(compose_->RemoveOne(SandboxStub(name), kNoGrace, nullptr),
                                 "removing the sandbox's container"));
  } else if (!absl::IsNotFound(details.status())) {
    return details.status();
  }
  const std::string home = absl::StrCat(data_path_, "/", kDrills);
  if (access(home.c_str(), F_OK) != 0) return absl::OkStatus();
  return RemoveTreeBeneath(home, name.value());
}

void DrillSandboxes::RemoveLeftovers(const std::function<bool(const std::string& tenant)>& in_use,
                                     const Log& log) {
  const std::string home = absl::StrCat(data_path_, "/", kDrills);
  if (access(home.c_str(), F_OK) != 0) return;
  auto folder = OpenFolder(home);
  if (!folder.ok()) return log.Error(std::string(folder.status().message()));
  auto names = ListFolder(folder->get(), kMaxSandboxes);
  if (!names.ok()) return log.Error(std::string(names.status().message()));
  for (const std::string& text : *names) {
    auto name = TenantName::Parse(text);
    if (!name.ok()) continue;
    // An action that begins after the question waits for the lock in its own Remove.
    absl::MutexLock lock(&mutex_);
    if (in_use(text)) continue;
    const absl::Status removed = RemoveLocked(*name);
    if (removed.ok()) {
      log.Warning(absl::StrCat("removed what an interrupted drill of ", text, " left"));
    } else {
      log.Error(absl::StrCat("the sandbox of ", text, ": ", removed.message()));
    }
  }
}

}  // namespace mtp
