#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/restic/repository.h"
#include "common/restic/restic_call.h"
#include "common/restic/restic_command.h"
#include "common/restic/restic_output.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;

absl::Status CheckFolder(const std::string& folder) {
  if (!absl::StartsWith(folder, "/"))
    return absl::InvalidArgumentError("the folder's path must be absolute");
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0) return ErrnoStatus(errno, absl::StrCat("open ", folder));
  if (!S_ISDIR(status.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(folder, " is not a folder"));
  return absl::OkStatus();
}

class ResticRepository final : public Repository {
 public:
  ResticRepository(RepositoryAccess access, ResticOptions options)
      : runner_(std::move(access), std::move(options)) {}

  absl::Status Prepare() { return runner_.Prepare(); }

  absl::Status Init(const CancelToken* cancel) override {
    const absl::Status opened = Open(cancel);
    if (!absl::IsNotFound(opened)) return opened;
    const absl::Status made =
        Call({"init", "--repository-version", "2"}, /*moves_data=*/false, cancel);
    if (made.ok()) runner_.MakeCheapToOpen();
    // Another may have made it meanwhile; whoever did, it must open with this password.
    const absl::Status now = Open(cancel);
    return now.ok() || made.ok() ? now : made;
  }

  absl::StatusOr<BackupResult> Backup(const BackupRequest& request,
                                      const std::function<void(const BackupProgress&)>& progress,
                                      const CancelToken* cancel) override {
    MTP_RETURN_IF_ERROR(CheckIdentity(request.identity));
    MTP_RETURN_IF_ERROR(CheckFolder(request.folder));
    if (request.host.empty() || request.host.front() == '-')
      return absl::InvalidArgumentError("a backup needs its host's name");
    MTP_ASSIGN_OR_RETURN(const std::vector<RepositorySnapshot> earlier,
                         List(request.identity.fleet, request.identity.tenant, cancel));
    // What an earlier call has left is of another moment, or lacks what could not be read.
    std::vector<std::string> replaced;
    for (const RepositorySnapshot& snapshot : earlier) {
      if (snapshot.identity.backup == request.identity.backup) replaced.push_back(snapshot.id);
    }
    MTP_RETURN_IF_ERROR(Forget(replaced, cancel));
    absl::StatusOr<BackupResult> result = Write(request, earlier, replaced, progress, cancel);
    if (!result.ok()) {
      if (absl::IsFailedPrecondition(result.status())) ForgetIdentity(request.identity, cancel);
      return result.status();
    }
    MTP_ASSIGN_OR_RETURN(const RepositorySnapshot written, Find(request.identity, cancel));
    if (!absl::StartsWith(written.id, result->snapshot))
      return absl::DataLossError("the repository does not hold the snapshot that was written");
    result->snapshot = written.id;
    return result;
  }

  absl::StatusOr<RepositorySnapshot> Find(const BackupIdentity& identity,
                                          const CancelToken* cancel) override {
    MTP_RETURN_IF_ERROR(CheckIdentity(identity));
    MTP_ASSIGN_OR_RETURN(std::vector<RepositorySnapshot> found, Snapshots(identity, cancel));
    if (found.empty())
      return absl::NotFoundError(
          absl::StrCat("the repository has no snapshot of backup ", identity.backup));
    return std::move(found.back());
  }

  absl::StatusOr<std::vector<RepositorySnapshot>> List(const std::string& fleet,
                                                       const std::string& tenant,
                                                       const CancelToken* cancel) override {
    MTP_RETURN_IF_ERROR(CheckIdentity(
        {.fleet = fleet, .tenant = tenant.empty() ? "any" : tenant, .backup = "any"}));
    return Snapshots({.fleet = fleet, .tenant = tenant}, cancel);
  }

  absl::Status Restore(const std::string& snapshot, const std::string& folder,
                       const CancelToken* cancel) override {
    MTP_RETURN_IF_ERROR(CheckSnapshotId(snapshot));
    MTP_RETURN_IF_ERROR(CheckFolder(folder));
    std::error_code error;
    if (!fs::is_empty(folder, error) || error)
      return absl::FailedPreconditionError(
          absl::StrCat("a backup is restored into an empty folder; ", folder, " is not"));
    absl::Status restored = Unpack({}, snapshot, folder, cancel);
    // A repository without any room cannot take the lock; what is in it can be read all the same.
    // Where it has begun to unpack it is the host that has none.
    if (absl::IsResourceExhausted(restored) && fs::is_empty(folder, error) && !error)
      restored = Unpack({"--no-lock"}, snapshot, folder, cancel);
    return restored;
  }

  absl::Status Check(bool read_data, const CancelToken* cancel) override {
    std::vector<std::string> arguments = {"check"};
    if (read_data) arguments.push_back("--read-data");
    return runner_.Run({.arguments = arguments, .moves_data = true, .use_cache = false}, cancel)
        .status();
  }

  absl::Status Forget(const std::vector<std::string>& snapshots,
                      const CancelToken* cancel) override {
    if (snapshots.empty()) return absl::OkStatus();
    std::vector<std::string> arguments = {"forget"};
    for (const std::string& snapshot : snapshots) {
      MTP_RETURN_IF_ERROR(CheckSnapshotId(snapshot));
      arguments.push_back(snapshot);
    }
    return Call(std::move(arguments), /*moves_data=*/false, cancel);
  }

  absl::StatusOr<int64_t> Prune(bool dry_run, const CancelToken* cancel) override {
    ResticCall call{.arguments = {"prune"}, .moves_data = true};
    if (dry_run) call.arguments.push_back("--dry-run");
    MTP_ASSIGN_OR_RETURN(const std::string output, runner_.Run(call, cancel));
    return ParsePrunedBytes(output);
  }

  absl::Status Unlock(const CancelToken* cancel) override {
    return Call({"unlock"}, /*moves_data=*/false, cancel);
  }

  absl::StatusOr<RepositoryStats> Stats(const CancelToken* cancel) override {
    MTP_ASSIGN_OR_RETURN(
        const std::string output,
        runner_.Run({.arguments = {"stats", "--no-lock", "--mode", "raw-data"}}, cancel));
    return ParseStats(output);
  }

 private:
  absl::Status Call(std::vector<std::string> arguments, bool moves_data,
                    const CancelToken* cancel) {
    return runner_.Run({.arguments = std::move(arguments), .moves_data = moves_data}, cancel)
        .status();
  }

  // The repository's config is decrypted and nothing else: a damaged snapshot does not matter.
  absl::Status Open(const CancelToken* cancel) {
    return runner_.Run({.arguments = {"cat", "config", "--no-lock"}, .use_cache = false}, cancel)
        .status();
  }

  // Without a lock: a snapshot's record is one file, written last and whole.
  absl::StatusOr<std::vector<RepositorySnapshot>> Snapshots(const BackupIdentity& identity,
                                                            const CancelToken* cancel) {
    MTP_ASSIGN_OR_RETURN(
        const std::string output,
        runner_.Run({.arguments = {"snapshots", "--no-lock", "--tag", TagsOf(identity)}}, cancel));
    return ParseSnapshots(output);
  }

  absl::StatusOr<BackupResult> Write(const BackupRequest& request,
                                     const std::vector<RepositorySnapshot>& earlier,
                                     const std::vector<std::string>& removed,
                                     const std::function<void(const BackupProgress&)>& progress,
                                     const CancelToken* cancel) {
    // `.` from within the folder: its content becomes the snapshot's root, wherever it lies.
    ResticCall call{
        .arguments = {"backup", "--host", request.host, "--time",
                      absl::FormatTime("%Y-%m-%d %H:%M:%S", request.time, absl::UTCTimeZone()),
                      "--tag", TagsOf(request.identity)},
        .moves_data = true,
        .working_folder = request.folder};
    // Staged folders have a path of their own each time, by which restic would not find the last
    // one itself.
    for (auto it = earlier.rbegin(); it != earlier.rend(); ++it) {
      if (std::find(removed.begin(), removed.end(), it->id) != removed.end()) continue;
      call.arguments.insert(call.arguments.end(), {"--parent", it->id});
      break;
    }
    call.arguments.push_back(".");
    BackupOutput output;
    call.on_stdout = [&](absl::string_view bytes) { output.Add(bytes, progress); };
    MTP_RETURN_IF_ERROR(runner_.Run(call, cancel).status());
    return output.Summary();
  }

  // From the repository itself: the cache would hide that its index or folders are damaged, and no
  // other host has it.
  absl::Status Unpack(const std::vector<std::string>& options, const std::string& snapshot,
                      const std::string& folder, const CancelToken* cancel) {
    ResticCall call{.arguments = {"restore", snapshot, "--target", folder},
                    .moves_data = true,
                    .use_cache = false};
    call.arguments.insert(call.arguments.end(), options.begin(), options.end());
    return runner_.Run(call, cancel).status();
  }

  // Best effort: what stays is seen by the next Backup of the identity.
  void ForgetIdentity(const BackupIdentity& identity, const CancelToken* cancel) {
    const absl::StatusOr<RepositorySnapshot> found = Find(identity, cancel);
    if (found.ok()) Forget({found->id}, cancel).IgnoreError();
  }

  ResticRunner runner_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Repository>> OpenResticRepository(RepositoryAccess access,
                                                                 ResticOptions options) {
  MTP_RETURN_IF_ERROR(CheckAccess(access));
  if (!absl::StartsWith(options.state_folder, "/") ||
      options.state_folder.find_first_of(" \t\n\"'\\%$~") != std::string::npos)
    return absl::InvalidArgumentError(
        "restic's state folder must be an absolute path without blanks or quotes");
  auto repository = std::make_unique<ResticRepository>(std::move(access), std::move(options));
  MTP_RETURN_IF_ERROR(repository->Prepare());
  return std::unique_ptr<Repository>(std::move(repository));
}

}  // namespace mtp
