#include "agent/backup/archive.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/backup/archive_files.h"
#include "agent/backup/archive_verify.h"
#include "agent/backup/beneath.h"
#include "agent/backup/manifest.h"
#include "agent/backup/manifest_file.h"
#include "agent/backup/tar_stream.h"
#include "agent/backup/tree_walk.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kArchiveSuffix[] = ".tar.gz";

absl::Status CheckRequest(const ArchiveRequest& request) {
  const std::string& output = request.output;
  if (output.empty() || output.front() != '/' || !absl::EndsWith(output, kArchiveSuffix)) {
    return absl::InvalidArgumentError("an archive's path is absolute and ends in .tar.gz");
  }
  if (request.names.empty()) return absl::InvalidArgumentError("nothing to archive is named");
  for (const std::string& name : request.names) {
    if (!IsPlainName(name)) {
      return absl::InvalidArgumentError("what is archived is named by one component of a path");
    }
  }
  struct stat info {};
  if (lstat(output.c_str(), &info) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(output, " exists"));
  }
  return absl::OkStatus();
}

// Fills both files; the last line of the manifest included.
absl::StatusOr<ArchiveResult> Fill(const ArchiveRequest& request, int archive, int manifest,
                                   const ArchiveProgressSink& progress,
                                   const std::stop_token& stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(request.root));
  MTP_ASSIGN_OR_RETURN(const std::unique_ptr<TarWriter> tar, TarWriter::Open(archive));
  ManifestWriter lines(manifest);
  MTP_RETURN_IF_ERROR(lines.Add(ManifestHeadLine()));
  TreeWalk walk(
      request, tar.get(), [&lines](const std::string& line) { return lines.Add(line); }, progress,
      stop);
  for (const std::string& name : request.names) {
    MTP_RETURN_IF_ERROR(walk.Add(root.get(), name));
  }
  ManifestEnd end = walk.totals();
  MTP_RETURN_IF_ERROR(tar->Close(&end.archive_sha256, &end.archive_bytes));
  MTP_RETURN_IF_ERROR(lines.Add(ManifestLine(end)));
  MTP_RETURN_IF_ERROR(lines.Flush());
  ArchiveResult result;
  result.sha256 = end.archive_sha256;
  result.bytes = end.archive_bytes;
  result.files = end.files;
  result.content_bytes = end.content_bytes;
  result.skipped = end.skipped;
  result.changed = walk.changed();
  return result;
}

absl::StatusOr<ArchiveResult> Write(const ArchiveRequest& request,
                                    const ArchiveProgressSink& progress,
                                    const std::stop_token& stop) {
  MTP_RETURN_IF_ERROR(CheckRequest(request));
  const std::string folder = ArchiveFolder(request.output);
  const std::string partial =
      absl::StrCat(folder, "/", kPartialPrefix, ArchiveName(request.output));
  MTP_ASSIGN_OR_RETURN(PartialFile archive, PartialFile::Create(partial));
  MTP_ASSIGN_OR_RETURN(PartialFile manifest,
                       PartialFile::Create(absl::StrCat(partial, kManifestSuffix)));
  MTP_ASSIGN_OR_RETURN(ArchiveResult result,
                       Fill(request, archive.fd(), manifest.fd(), progress, stop));
  MTP_RETURN_IF_ERROR(archive.Sync());
  MTP_RETURN_IF_ERROR(manifest.Sync());
  if (progress) progress({result.files, result.content_bytes, true});
  MTP_RETURN_IF_ERROR(CompareWithManifest(archive.path(), manifest.path(), stop));
  // The manifest first: whoever sees the archive finds it there. One without its archive is left by
  // a crash just here, and replaced by the next try.
  result.manifest = absl::StrCat(request.output, kManifestSuffix);
  MTP_RETURN_IF_ERROR(manifest.Publish(result.manifest, /*replace=*/true));
  if (absl::Status status = archive.Publish(request.output, /*replace=*/false); !status.ok()) {
    unlink(result.manifest.c_str());
    return status;
  }
  MTP_RETURN_IF_ERROR(SyncFolder(folder));
  return result;
}

}  // namespace

absl::StatusOr<ArchiveResult> WriteArchive(const ArchiveRequest& request,
                                           const ArchiveProgressSink& progress,
                                           std::stop_token stop) {
  absl::StatusOr<ArchiveResult> result = Write(request, progress, stop);
  if (!result.ok()) {
    return Annotate(result.status(), absl::StrCat("archive ", request.output));
  }
  return result;
}

absl::Status SweepUnfinishedArchives(const std::string& folder) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor fd, OpenFolder(folder));
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(fd.get(), 1'000'000));
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, kPartialPrefix)) continue;
    if (unlinkat(fd.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return ErrnoStatus(errno, absl::StrCat("remove ", folder, "/", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace mtp
