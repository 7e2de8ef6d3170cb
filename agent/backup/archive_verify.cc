#include "agent/backup/archive_verify.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include "agent/backup/archive.h"
#include "agent/backup/archive_files.h"
#include "agent/backup/manifest_file.h"
#include "agent/backup/tar_stream.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

absl::Status Different(const ManifestEntry& entry, const char* what) {
  return absl::DataLossError(absl::StrCat("`", entry.path, "` has another ", what,
                                          " in the archive than in the manifest"));
}

absl::Status Compare(const ManifestEntry& expected, const ManifestEntry& actual) {
  if (expected.path != actual.path) {
    return absl::DataLossError(absl::StrCat("the archive has `", actual.path,
                                            "` where the manifest has `", expected.path, "`"));
  }
  if (expected.type != actual.type) return Different(expected, "type");
  if (expected.mode != actual.mode) return Different(expected, "mode");
  if (expected.uid != actual.uid || expected.gid != actual.gid) return Different(expected, "owner");
  if (expected.target != actual.target) return Different(expected, "link target");
  if (expected.size != actual.size) return Different(expected, "size");
  if (expected.sha256 != actual.sha256) return Different(expected, "SHA-256");
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareWithManifest(const std::string& archive, const std::string& manifest,
                                 std::stop_token stop) {
  FileDescriptor file(open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("open ", archive));
  ManifestReader lines(manifest);
  if (!lines.IsOpen()) return absl::NotFoundError(absl::StrCat("there is no manifest ", manifest));
  // What is in the page cache was synced; reading it again from the disk is the stronger proof.
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  MTP_ASSIGN_OR_RETURN(const std::unique_ptr<TarReader> tar, TarReader::Open(file.get()));
  const auto keep_going = [&stop] { return !stop.stop_requested(); };
  int64_t entries = 0;
  while (true) {
    if (!keep_going()) return absl::CancelledError("stopped on request");
    ManifestEntry actual;
    MTP_ASSIGN_OR_RETURN(const bool more, tar->Next(&actual, keep_going));
    MTP_ASSIGN_OR_RETURN(const ManifestLineValue expected, lines.Next());
    const bool manifest_ends = expected.kind == ManifestLineValue::Kind::kEnd;
    if (more == manifest_ends) {
      return absl::DataLossError(absl::StrCat("the archive ", more ? "has more" : "ends before",
                                              " entries than the manifest, at number ", entries));
    }
    if (!more) {
      std::string sha256;
      int64_t bytes = 0;
      tar->Total(&sha256, &bytes);
      if (sha256 != expected.end.archive_sha256 || bytes != expected.end.archive_bytes ||
          entries != expected.end.entries) {
        return absl::DataLossError("the archive as a whole is not what the manifest's end says");
      }
      return absl::OkStatus();
    }
    MTP_RETURN_IF_ERROR(Compare(expected.entry, actual));
    ++entries;
  }
}

absl::Status VerifyArchive(const std::string& path, std::stop_token stop) {
  return Annotate(CompareWithManifest(path, absl::StrCat(path, kManifestSuffix), std::move(stop)),
                  absl::StrCat("verify ", path));
}

}  // namespace mtp
