// Repositories of a fake host: each snapshot is a plain copy of its folder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/restic/repository.h"

namespace mtp {

// What outlives every opened repository.
struct FakeRepositories {
  std::string folder;
  // Calls of the named methods fail with it.
  absl::Status open_error;
  absl::Status backup_error;
  absl::Status prune_error;
  absl::Status check_error;
  // Called with the unpacked folder before Restore returns; for damage.
  std::function<void(const std::string& folder)> on_restore;
  int backups = 0;
  int prunes = 0;
  // Of each check, whether it was to read all data.
  std::vector<bool> checks;
  std::vector<std::string> passwords;
};

class FakeRepository final : public Repository {
 public:
  FakeRepository(FakeRepositories* all, std::string url);

  absl::Status Init(const CancelToken*) override;
  absl::StatusOr<BackupResult> Backup(const BackupRequest& request,
                                      const std::function<void(const BackupProgress&)>&,
                                      const CancelToken*) override;
  absl::StatusOr<RepositorySnapshot> Find(const BackupIdentity& identity,
                                          const CancelToken*) override;
  absl::StatusOr<std::vector<RepositorySnapshot>> List(const std::string& fleet,
                                                       const std::string& tenant,
                                                       const CancelToken*) override;
  absl::Status Restore(const std::string& snapshot, const std::string& folder,
                       const CancelToken*) override;
  absl::Status Check(bool read_data, const CancelToken*) override;
  // Their data waits for Prune.
  absl::Status Forget(const std::vector<std::string>& snapshots, const CancelToken*) override;
  absl::StatusOr<int64_t> Prune(bool dry_run, const CancelToken*) override;
  absl::Status Unlock(const CancelToken*) override;
  absl::StatusOr<RepositoryStats> Stats(const CancelToken*) override;

 private:
  static std::string Flat(std::string url);
  static std::string IdOf(const BackupIdentity& identity);
  std::string PathOf(const std::string& id) const;
  std::string Unused() const;
  // As `cp` keeps everything that a restore is held to.
  static absl::Status Copy(const std::string& from, const std::string& to);

  FakeRepositories* const all_;
  const std::string home_;
};

}  // namespace mtp
