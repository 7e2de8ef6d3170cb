// Reads a client's folder into a TarWriter and a manifest.
#pragma once

#include <absl/status/status.h>
#include <sys/stat.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/backup/archive.h"
#include "agent/backup/file_copy.h"
#include "agent/backup/manifest.h"
#include "agent/backup/tar_stream.h"

namespace mtp {

// Use once, in one thread.
class TreeWalk {
 public:
  // All must outlive the walk. `manifest_line` takes each line.
  TreeWalk(const ArchiveRequest& request, TarWriter* tar,
           std::function<absl::Status(const std::string& line)> manifest_line,
           ArchiveProgressSink progress, std::stop_token stop);

  // Adds `root/name` and all beneath it. Errors as WriteArchive's.
  absl::Status Add(int root, const std::string& name);

  // Totals so far; the archive's own hash and size are not known here.
  const ManifestEnd& totals() const { return totals_; }
  const std::vector<std::string>& changed() const { return changed_; }

 private:
  struct Place {
    int folder;        // Descriptor of the folder that holds it.
    std::string name;  // In that folder.
    std::string path;  // In the archive.
    int depth;         // Below the archived name.
  };

  absl::Status Visit(const Place& place);
  absl::Status VisitFolder(const Place& place, const ManifestEntry& entry, long mtime_ns);
  absl::Status VisitSymlink(const Place& place);
  absl::Status VisitFile(const Place& place);
  absl::Status CopyContent(int file, const struct stat& info, ManifestEntry* entry);
  absl::Status Skip(const Place& place, const std::string& reason);
  absl::Status Record(const ManifestEntry& entry);
  // A status for what nobody can read, or a skipped entry for what the client did meanwhile.
  absl::Status SkipOrFail(const Place& place, int error);
  void Report(bool always);

  const ArchiveRequest& request_;
  TarWriter* const tar_;
  const std::function<absl::Status(const std::string& line)> manifest_line_;
  const ArchiveProgressSink progress_;
  const CopyBudget budget_;
  ManifestEnd totals_;
  std::vector<std::string> changed_;
  // Where the content of a file with several names came first.
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
  std::string name_;  // That is being archived.
  int64_t reported_bytes_ = 0;
  int64_t reported_files_ = 0;
};

}  // namespace mtp
