// Where backups are unpacked before they take a tenant's place, and where what they replaced is
// kept for a day: `data/.restores/<tenant>` and `data/.quarantine/<tenant>-<time>`. Both lie beside
// the data folders, so that putting one in the place of another is one rename.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace mtp {

// How long what was replaced is kept.
inline constexpr absl::Duration kQuarantineLifetime = absl::Hours(24);
// A backup holds the tenant's folder under this name, and beside it the two files.
inline constexpr char kBackupData[] = "data";
inline constexpr char kBackupManifest[] = "manifest.jsonl";
inline constexpr char kBackupTenant[] = "tenant.json";

// Names are tenants' short names. Thread-safe as long as no two threads use the same name.
class RestoreFolders {
 public:
  // As DataFolders.
  RestoreFolders(std::string data_path, int uid, int gid);

  // `data/.snapshots`, for Staging; made when it is missing.
  absl::StatusOr<std::string> SnapshotsPath() const;
  // An empty `data/.restores/<name>`, which only root enters; what was there is removed.
  absl::StatusOr<std::string> Make(const std::string& name) const;
  // Where that is.
  std::string Path(const std::string& name) const;
  // Removes it. Absent is OK.
  absl::Status Remove(const std::string& name) const;

  // Gives the unpacked `data` in `.restores/<name>` to the container's user.
  absl::Status TakeOwnership(const std::string& name) const;
  // Returns once all of it is on the disk, together with whatever else its file system has to
  // write: neither restic nor a rename sees to that, and after a power cut files would be there by
  // name alone.
  absl::Status Sync(const std::string& name) const;
  // Names the folder that was unpacked, to tell it from the one it replaces: device and inode.
  absl::StatusOr<std::string> Unpacked(const std::string& name) const;
  // Whether `data/<name>` is the folder that Unpacked named.
  bool IsInPlace(const std::string& name, const std::string& unpacked) const;
  // Where what is replaced now will be kept, relative to the data folder.
  static std::string KeptPath(const std::string& name, absl::Time now);
  // Puts the unpacked folder in the place of `data/<name>` in one atomic exchange, so that at every
  // moment one of the two is there, and the old one at `kept`. Returns whether there was an old
  // one.
  absl::StatusOr<bool> PutInPlace(const std::string& name, const std::string& kept) const;

  // Removes what interrupted snapshots and restores left. Call it at start-up, when none runs.
  absl::Status Sweep() const;
  // Removes what has been in quarantine for longer than kQuarantineLifetime.
  absl::Status SweepQuarantine(absl::Time now) const;

 private:
  absl::StatusOr<std::string> MakeHome(const char* home) const;

  const std::string data_path_;
  const int uid_;
  const int gid_;
};

}  // namespace mtp
