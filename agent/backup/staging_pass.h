// One walk that makes the copy of a client's folder equal to the folder.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/backup/file_copy.h"
#include "agent/backup/staging.h"
#include "agent/backup/stamps.h"

namespace mtp {

// Use once, in one thread. All arguments must outlive it.
class StagingPass {
 public:
  StagingPass(const StagingRequest& request, bool frozen, const CopyBudget& budget,
              StampTable* stamps, std::vector<SkippedEntry>* skipped);

  // `source` holds the tenant's folder, `home` the copy, named `copy_name`, and gets folders that
  // are gone, named `gone-…`: they are removed later, when nobody waits.
  absl::Status Run(int source, int home, const std::string& copy_name);

  const RefreshResult& result() const { return result_; }

 private:
  // A folder on both sides.
  struct Folder {
    int source;
    int copy;
    int depth;
    bool fresh;    // The copy was empty.
    bool touched;  // An entry of the copy came or went, which changes the copy's mtime.
    const std::vector<std::string>* names;
  };
  // What the copy has under a name.
  struct Present {
    bool exists = false;
    struct stat info {};
    std::optional<Stamp> stamp;
    bool IsFolder() const { return exists && S_ISDIR(info.st_mode); }
    bool IsFile() const { return exists && S_ISREG(info.st_mode); }
  };
  struct FirstName {
    std::string path;
    uint64_t copy_inode;
  };

  absl::Status Visit(Folder* folder, const std::string& name);
  absl::Status VisitNamed(Folder* folder, const std::string& name);
  absl::Status VisitFolder(Folder* folder, const std::string& name, const Present& present);
  absl::Status VisitContents(Folder* inner);
  absl::Status VisitSymlink(Folder* folder, const std::string& name, const struct stat& info,
                            const Present& present);
  absl::Status VisitFile(Folder* folder, const std::string& name, const struct stat& info,
                         Present present);
  absl::Status CopyFile(Folder* folder, const std::string& name, int source,
                        const struct stat& info, const Present& present, int64_t begin_ns);
  absl::Status LinkToFirst(Folder* folder, const std::string& name, const FirstName& first,
                           const Present& present);
  absl::Status CountContent(const struct stat& info, bool* skip);

  Present Look(const Folder& folder, const std::string& name) const;
  bool IsUnchanged(const struct stat& info, const Present& present) const;
  bool IsSharedMemory(const Folder& folder, const std::string& name) const;
  absl::Status RemoveGone(Folder* folder);
  absl::Status Remove(Folder* folder, const std::string& name, const Present& present);
  absl::Status Skip(Folder* folder, const std::string& name, const std::string& reason);
  absl::Status SkipOrFail(Folder* folder, const std::string& name, int error);
  absl::Status Failed(int error, const char* what) const;

  const StagingRequest& request_;
  const bool frozen_;
  const CopyBudget& budget_;
  StampTable* const stamps_;
  std::vector<SkippedEntry>* const skipped_;
  RefreshResult result_;
  // Where the content of a file with several names came first, by the original's inode.
  absl::flat_hash_map<uint64_t, FirstName> first_names_;
  std::string path_;  // Of the entry that is visited, relative to the tenant's folder.
  int home_ = -1;
  int copy_root_ = -1;
  dev_t device_ = 0;
  int64_t gone_ = 0;
  int64_t disk_bytes_ = 0;
  int64_t claimed_bytes_ = 0;
};

}  // namespace mtp
