#include "agent/backup/state_copy.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kPart[] = "_controller";

// Removes all but the newest copies, and their bytes.
absl::Status RemoveOld(Repository& repository, const std::string& fleet,
                       const CancelToken* cancel) {
  MTP_ASSIGN_OR_RETURN(std::vector<RepositorySnapshot> copies,
                       repository.List(fleet, kPart, cancel));
  if (copies.size() <= kStateCopiesKept) return absl::OkStatus();
  std::sort(copies.begin(), copies.end(), [](const auto& one, const auto& other) {
    return one.identity.backup < other.identity.backup;
  });
  std::vector<std::string> old;
  for (size_t i = 0; i + kStateCopiesKept < copies.size(); ++i) old.push_back(copies[i].id);
  MTP_RETURN_IF_ERROR(repository.Forget(old, cancel));
  return repository.Prune(/*dry_run=*/false, cancel).status();
}

}  // namespace

absl::StatusOr<std::string> StoreStateCopy(Repository& repository, const StateCopy& copy,
                                           const std::string& folder, const Log& log,
                                           const CancelToken* cancel) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  const auto remove = absl::MakeCleanup([&folder] {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
  });
  MTP_RETURN_IF_ERROR(WriteFileAtomically(folder + "/state", copy.bytes, 0600));
  MTP_RETURN_IF_ERROR(repository.Init(cancel));
  const BackupRequest request{.folder = folder,
                              .identity = {copy.fleet, kPart, copy.id},
                              .host = copy.host,
                              .time = copy.time};
  MTP_ASSIGN_OR_RETURN(const BackupResult stored, repository.Backup(request, nullptr, cancel));
  if (const absl::Status trimmed = RemoveOld(repository, copy.fleet, cancel); !trimmed.ok()) {
    log.Warning(absl::StrCat("old copies of the controller's state stay for now: ",
                             std::string(trimmed.message())));
  }
  return stored.snapshot;
}

}  // namespace mtp
