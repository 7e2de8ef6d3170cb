#include "tests/unit/agent/fake_repository.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/process/subprocess.h"

namespace mtp {

FakeRepository::FakeRepository(FakeRepositories* all, std::string url)
    : all_(all), home_(absl::StrCat(all->folder, "/", Flat(std::move(url)))) {}

absl::Status FakeRepository::Init(const CancelToken*) { return MakeFolders(home_, 0700); }

absl::StatusOr<BackupResult> FakeRepository::Backup(
    const BackupRequest& request, const std::function<void(const BackupProgress&)>&,
    const CancelToken* cancel) {
  MTP_RETURN_IF_ERROR(all_->backup_error);
  if (cancel != nullptr && cancel->cancelled()) return absl::CancelledError("restic was ended");
  if (!std::filesystem::exists(home_)) return absl::NotFoundError("no repository there");
  ++all_->backups;
  const std::string id = IdOf(request.identity);
  std::filesystem::remove_all(PathOf(id));
  MTP_RETURN_IF_ERROR(Copy(request.folder, PathOf(id)));
  return BackupResult{.snapshot = id};
}

absl::StatusOr<RepositorySnapshot> FakeRepository::Find(const BackupIdentity& identity,
                                                        const CancelToken*) {
  MTP_RETURN_IF_ERROR(all_->open_error);
  const std::string id = IdOf(identity);
  if (!std::filesystem::exists(PathOf(id))) return absl::NotFoundError("no such snapshot");
  return RepositorySnapshot{.id = id, .identity = identity};
}

absl::StatusOr<std::vector<RepositorySnapshot>> FakeRepository::List(const std::string& fleet,
                                                                     const std::string& tenant,
                                                                     const CancelToken*) {
  MTP_RETURN_IF_ERROR(all_->open_error);
  if (!std::filesystem::exists(home_)) return absl::NotFoundError("no repository there");
  std::vector<RepositorySnapshot> snapshots;
  for (const auto& entry : std::filesystem::directory_iterator(home_)) {
    const std::string id = entry.path().filename();
    const std::vector<std::string> parts = absl::StrSplit(id, '+');
    if (parts.size() != 3 || parts[0] != fleet) continue;
    if (!tenant.empty() && parts[1] != tenant) continue;
    snapshots.push_back({.id = id, .identity = {parts[0], parts[1], parts[2]}});
  }
  return snapshots;
}

absl::Status FakeRepository::Restore(const std::string& snapshot, const std::string& folder,
                                     const CancelToken* cancel) {
  MTP_RETURN_IF_ERROR(Copy(PathOf(snapshot), folder));
  if (cancel != nullptr && cancel->cancelled()) return absl::CancelledError("restic was ended");
  if (all_->on_restore) all_->on_restore(folder);
  return absl::OkStatus();
}

absl::Status FakeRepository::Check(bool read_data, const CancelToken*) {
  all_->checks.push_back(read_data);
  return all_->check_error;
}

absl::Status FakeRepository::Forget(const std::vector<std::string>& snapshots, const CancelToken*) {
  MTP_RETURN_IF_ERROR(MakeFolders(Unused(), 0700));
  std::error_code absent;
  for (const std::string& id : snapshots) {
    std::filesystem::rename(PathOf(id), absl::StrCat(Unused(), "/", id), absent);
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> FakeRepository::Prune(bool dry_run, const CancelToken*) {
  MTP_RETURN_IF_ERROR(all_->prune_error);
  if (!std::filesystem::exists(home_)) return absl::NotFoundError("no repository there");
  int64_t bytes = 0;
  std::error_code absent;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Unused(), absent)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  if (dry_run) return bytes;
  ++all_->prunes;
  std::filesystem::remove_all(Unused());
  return bytes;
}

absl::Status FakeRepository::Unlock(const CancelToken*) { return absl::OkStatus(); }

absl::StatusOr<RepositoryStats> FakeRepository::Stats(const CancelToken*) {
  RepositoryStats stats;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(home_, absent)) {
    if (entry.path().filename() != "unused") ++stats.snapshots;
  }
  return stats;
}

std::string FakeRepository::Flat(std::string url) {
  for (char& c : url) c = c == '/' || c == ':' ? '_' : c;
  return url;
}

std::string FakeRepository::IdOf(const BackupIdentity& identity) {
  return absl::StrCat(identity.fleet, "+", identity.tenant, "+", identity.backup);
}

std::string FakeRepository::PathOf(const std::string& id) const {
  return absl::StrCat(home_, "/", id);
}

std::string FakeRepository::Unused() const { return absl::StrCat(home_, "/unused"); }

absl::Status FakeRepository::Copy(const std::string& from, const std::string& to) {
  MTP_RETURN_IF_ERROR(MakeFolders(to, 0700));
  SubprocessOptions copy;
  copy.argv = {"cp", "-a", from + "/.", to};
  MTP_ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(copy));
  return CheckExit(copy, result);
}

}  // namespace mtp
