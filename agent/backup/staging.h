// A consistent copy of the data of a tenant that runs.
//
//   staging = Staging::Create(request)
//   staging->Refresh({})                          // copies everything while the tenant works
//   pause the container
//   staging->Refresh({.frozen = true, .allowed = …})   // what changed since, a few milliseconds
//   unpause the container, whatever Refresh said
//
// Each Refresh makes the copy equal to the folder as it finds it and reads only files whose stamp
// (inode, ctime, size, mode, owner) is not that of the Refresh before. With every process of the
// tenant frozen, the last one makes the copy the folder of one moment, as a crash of the tenant's
// processes would leave it: SQLite recovers a database from it with its `-wal`, without a loss of
// anything committed. Frozen means frozen by the kernel: a tenant that merely idles may wake up.
//
// The folder belongs to a client and may be hostile: it is walked by descriptors, no symbolic link
// is followed and no other file system entered. Kept are content, holes, symbolic links, hard links
// within the folder, owner, mode, modification time to the nanosecond. Left out by name, each with
// its reason in `skipped()`: sockets, fifos, devices, excluded paths, SQLite's `-shm` files
// (rebuilt on opening), files that claim enormous holes, paths that are too long or too deep,
// symbolic links whose targets are not UTF-8 (restic 0.14 gives them back as others). Not kept:
// extended attributes and ACLs, file capabilities, and the set-user-ID and set-group-ID bits of
// files, because no backup may bring a privilege back.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace mtp {

class DiskFloor;

// What a client can make a copy cost. RESOURCE_EXHAUSTED beyond, but for holes: see below.
struct StagingLimits {
  int64_t max_entries = 5'000'000;
  // On disk, of all files together.
  int64_t max_bytes = int64_t{1} << 40;
  // A file that claims more than eight times of what it has on disk is skipped by name when such
  // files together claim more than this: whoever reads the copy reads the zeros.
  int64_t max_claimed_bytes = int64_t{32} << 30;
  int64_t max_skipped = 100'000;
  // Each level holds two descriptors.
  int max_depth = 128;
};

struct StagingRequest {
  // Folder with the tenant's, `<project>/data`, and the tenant's in it, `acme`.
  std::string data_root;
  std::string name;
  // Existing folder that only root enters; Staging uses `<staging_root>/<name>`. Best on the file
  // system of `data_root`.
  std::string staging_root;
  // As ArchiveRequest::exclude; may be null.
  std::function<bool(std::string_view relative_path, bool is_folder)> exclude;
  StagingLimits limits;
  // Of the file system of `staging_root`: the copy ends before it is used up (RESOURCE_EXHAUSTED).
  // May be null; must outlive the Staging.
  const DiskFloor* floor = nullptr;
  // A file that changed so shortly before it was read may change again without another ctime, so it
  // is compared by content the next time. More than a tick of any kernel's clock.
  absl::Duration racy_window = absl::Milliseconds(50);
};

struct SkippedEntry {
  std::string path;  // Relative to the tenant's folder.
  std::string reason;
};

struct RefreshOptions {
  // Nothing changes meanwhile. Otherwise pages that are dirty are sent to disk first, so that later
  // writes through a memory mapping change the ctime again.
  bool frozen = false;
  // DEADLINE_EXCEEDED once this is over.
  absl::Duration allowed = absl::InfiniteDuration();
};

struct RefreshResult {
  int64_t entries = 0;
  int64_t files = 0;          // Hard links included.
  int64_t content_bytes = 0;  // Sizes of all files, each inode once.
  int64_t read_files = 0;     // That were copied or compared.
  int64_t written_bytes = 0;
  absl::Duration took;
  // Files that changed while they were read, at most 100 named. None when all is frozen: then
  // something other than the tenant writes there, and those are mixtures.
  std::vector<std::string> unsettled;
};

class StagingPass;
class StampTable;

// Not thread-safe.
class Staging {
 public:
  // Makes an empty `<staging_root>/<name>`, removing what an earlier run left there.
  // INVALID_ARGUMENT for a bad name, NOT_FOUND when one of the folders is missing.
  static absl::StatusOr<std::unique_ptr<Staging>> Create(StagingRequest request);
  // Removes the copy: end an earlier one of that name before making the next.
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Blocks. After an error the copy is incomplete, and the next Refresh may make it whole; what was
  // done is kept. Errors: CANCELLED within 100 ms after a stop request, DEADLINE_EXCEEDED,
  // RESOURCE_EXHAUSTED for a full disk or a limit, NOT_FOUND when the tenant's folder is gone.
  absl::StatusOr<RefreshResult> Refresh(const RefreshOptions& options, std::stop_token stop);

  // Absolute path of the copy, the tenant's folder itself; its parent lets nobody but root in.
  const std::string& folder() const { return folder_; }
  // What the last Refresh left out.
  const std::vector<SkippedEntry>& skipped() const { return skipped_; }

 private:
  explicit Staging(StagingRequest request);
  const StagingRequest request_;
  const std::string home_;
  const std::string folder_;
  std::unique_ptr<StampTable> stamps_;
  std::vector<SkippedEntry> skipped_;
};

// Removes every copy in `staging_root`. Call it at start-up, when none is in use.
absl::Status SweepStaging(const std::string& staging_root);

}  // namespace mtp
