// `data/<tenant>/{.openclaw,workspace}`: the part of the project folder that belongs to clients.
// Containers write there, so nothing in it is trusted: no symbolic link is ever followed.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

namespace mtp {

// Names of folders are tenants' short names, or `admin`. Thread-safe as long as no two threads
// change the same folder.
class DataFolders {
 public:
  // `data_path`: `<project>/data`; it exists. `uid` and `gid` own what is made; -1 leaves the
  // caller as owner (for tests that do not run as root).
  DataFolders(std::string data_path, int uid, int gid);

  bool Exists(const std::string& name) const;
  // Makes the tree where it is missing and gives all of it to the container's user. Idempotent.
  absl::Status Make(const std::string& name) const;
  // Writes `.openclaw/openclaw.json` when there is nothing of that name; from then on it is the
  // tenant's. Returns whether it was written.
  absl::StatusOr<bool> InstallConfig(const std::string& name, absl::string_view content) const;
  // Renames `data/<name>` to `data/.set-aside/<name>-<time>` and returns the new path relative to
  // the data folder. NOT_FOUND when there is none.
  absl::StatusOr<std::string> SetAside(const std::string& name, absl::Time now) const;
  // Deletes the tree, for good once it returns. Absent is OK.
  absl::Status Remove(const std::string& name) const;
  // Folders that are valid tenant names, sorted.
  std::vector<std::string> List() const;

 private:
  const std::string data_path_;
  const int uid_;
  const int gid_;
};

}  // namespace mtp
