// Where backups go: a deduplicated, compressed, encrypted repository in a local folder, on an SFTP
// server or in an S3-compatible bucket, kept by restic 0.14 (Debian 12's package `restic`), which
// runs as a subprocess.
//
// What restic keeps: content, modes, numeric owners, times, symbolic and hard links, empty folders,
// names of any bytes. Sparse files come back with equal bytes, but full: 0.14 writes the holes out.
// The backed-up folder's own mode and owner are not kept, only those of what is in it.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/secret_string.h"
#include "common/process/subprocess.h"

namespace mtp {

// How to reach a repository. It comes from the controller and is held in memory only; while a call
// runs, the SFTP key is a 0600 file in a 0700 folder.
struct RepositoryAccess {
  // `/absolute/folder`, `sftp://user@host[:port]/absolute/path`,
  // `s3:https://host[:port]/bucket[/prefix]`. `s3:http://` is refused beyond loopback.
  std::string url;
  // Encrypts the repository: whoever loses it has lost the backups. One line, not empty.
  SecretString password;
  std::string s3_access_key;
  SecretString s3_secret_key;
  SecretString sftp_private_key;  // OpenSSH's form, without a passphrase
  std::string sftp_known_hosts;   // Lines of known_hosts(5); no other server is spoken to.
  std::string ca_certificates;    // PEM, of an S3 server with a CA of its own; empty: the system's.
};

// Which backup a snapshot is; kept as its tags. Each 1 to 64 letters, digits, `.`, `_`, `-`.
struct BackupIdentity {
  std::string fleet;
  std::string tenant;
  std::string backup;  // unique in the repository
};

struct RepositorySnapshot {
  std::string id;  // 64 hexadecimal digits
  BackupIdentity identity;
  std::string host;
  absl::Time time;
};

struct BackupRequest {
  std::string folder;  // absolute; its content becomes the snapshot's root
  BackupIdentity identity;
  std::string host;
  absl::Time time;  // kept to the second
};

struct BackupProgress {
  int64_t bytes_done = 0;
  int64_t bytes_total = 0;  // known so far; grows while the folder is scanned
  int64_t files_done = 0;
};

struct BackupResult {
  std::string snapshot;
  int64_t bytes_scanned = 0;
  int64_t bytes_added = 0;  // new in the repository, before compression
  int64_t files = 0;
  absl::Duration duration;
};

struct RepositoryStats {
  int64_t stored_bytes = 0;  // of all blobs in use, as stored
  int64_t snapshots = 0;
};

// Each call opens the repository anew. That costs about half a second of one core, scrypt over the
// password, calibrated by restic when the repository was made; but next to nothing in a folder
// whose repository `Init` has made, see key_file.h.
//
// Thread-safe. Every call blocks, is bounded in time and output, and ends with CANCELLED soon after
// `cancel` (may be null; must outlive the call). Errors are one sentence each:
//   UNAVAILABLE          the server cannot be reached, or went away
//   PERMISSION_DENIED    wrong password, S3 keys or SSH key; a folder that may not be written
//   NOT_FOUND            no repository there, or no such snapshot
//   ABORTED              locked by another, longer than ResticOptions::lock_wait
//   RESOURCE_EXHAUSTED   disk or quota full
//   DATA_LOSS            the repository is damaged
//   FAILED_PRECONDITION  the server's SSH key is unknown or has changed; restic is not installed;
//                        source files could not be read; the target is not an empty folder
//   INVALID_ARGUMENT     malformed identity, id or path
// A failed or killed call leaves earlier snapshots whole. A lock that a killed restic of this host
// left is removed by itself. Host names must differ within a fleet: restic takes a lock for stale
// when its host name is this host's and no such process runs here.
class Repository {
 public:
  virtual ~Repository() = default;

  // Makes the repository unless it is there. PERMISSION_DENIED when one is there under another
  // password.
  virtual absl::Status Init(const CancelToken* cancel) = 0;

  // Writes one snapshot and looks it up afterwards. It replaces what an earlier call of the same
  // identity has left, which is of another moment than the folder. `progress` (may be empty) is
  // called on the caller's thread. Backups may run at the same time, but not two of one identity.
  virtual absl::StatusOr<BackupResult> Backup(
      const BackupRequest& request, const std::function<void(const BackupProgress&)>& progress,
      const CancelToken* cancel) = 0;

  // The snapshot of that identity. NOT_FOUND when there is none.
  virtual absl::StatusOr<RepositorySnapshot> Find(const BackupIdentity& identity,
                                                  const CancelToken* cancel) = 0;

  // The fleet's snapshots in order of time, of one tenant or (empty) of all. DATA_LOSS when any
  // snapshot's record is damaged: a list that leaves one out would be taken for the truth.
  virtual absl::StatusOr<std::vector<RepositorySnapshot>> List(const std::string& fleet,
                                                               const std::string& tenant,
                                                               const CancelToken* cancel) = 0;

  // Writes the snapshot into `folder`, which must be absolute, there, and empty. After an error it
  // holds a part.
  virtual absl::Status Restore(const std::string& snapshot, const std::string& folder,
                               const CancelToken* cancel) = 0;

  // Checks the whole repository's structure and, with `read_data`, every stored byte. Waits for
  // running backups and holds new ones off meanwhile.
  virtual absl::Status Check(bool read_data, const CancelToken* cancel) = 0;

  // Removes snapshots; absent ones are fine. Their data stays until Prune.
  virtual absl::Status Forget(const std::vector<std::string>& snapshots,
                              const CancelToken* cancel) = 0;

  // Removes (`dry_run`: only counts) data that no snapshot uses, and says how many bytes, rounded
  // by restic. Up to 5 % of unused data may stay. Exclusive, as Check.
  virtual absl::StatusOr<int64_t> Prune(bool dry_run, const CancelToken* cancel) = 0;

  // Removes locks of processes that are gone: of this host at once, of others after 30 minutes.
  virtual absl::Status Unlock(const CancelToken* cancel) = 0;

  virtual absl::StatusOr<RepositoryStats> Stats(const CancelToken* cancel) = 0;
};

struct ResticOptions {
  std::string program = "restic";
  // The agent's own folder, absolute, without blanks or quotes: cache and running calls' files.
  // Made 0700. One process at a time may use it.
  std::string state_folder;
  // Of calls that move no file data, and of those that do.
  absl::Duration short_deadline = absl::Minutes(10);
  absl::Duration long_deadline = absl::Hours(12);
  // How long to try again while another holds the lock.
  absl::Duration lock_wait = absl::Minutes(2);
};

// INVALID_ARGUMENT for access or options that are not as said above. Removes what calls of an
// earlier process left in the state folder. Does not speak to the repository.
absl::StatusOr<std::unique_ptr<Repository>> OpenResticRepository(RepositoryAccess access,
                                                                 ResticOptions options);

}  // namespace mtp
