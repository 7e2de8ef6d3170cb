#include "agent/backup/tree_manifest.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "agent/backup/beneath.h"
#include "agent/backup/manifest_file.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kPartialSuffix[] = ".partial";

// Whether `a` comes before `b` in a walk: a slash before every other byte, and the top first.
bool ComesBefore(const std::string& a, const std::string& b) {
  if (a == "." || b == ".") return a == "." && b != ".";
  const auto rank = [](char byte) { return byte == '/' ? 0 : static_cast<unsigned char>(byte); };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [rank](char x, char y) { return rank(x) < rank(y); });
}

absl::Status Differs(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, " ", what));
}

absl::Status CompareEntry(const ManifestEntry& found, const ManifestEntry& wanted) {
  const std::string& path = wanted.path;
  if (found.type != wanted.type) return Differs(path, "is of another type");
  if (found.size != wanted.size) {
    return Differs(path, absl::StrCat("has ", found.size, " bytes instead of ", wanted.size));
  }
  if (found.sha256 != wanted.sha256) return Differs(path, "has another content");
  if (found.target != wanted.target) return Differs(path, "links to another place");
  if (found.mode != wanted.mode) {
    return Differs(path,
                   absl::StrFormat("has the mode %04o instead of %04o", found.mode, wanted.mode));
  }
  if (found.uid != wanted.uid || found.gid != wanted.gid) {
    return Differs(path, absl::StrCat("belongs to ", found.uid, ":", found.gid, " instead of ",
                                      wanted.uid, ":", wanted.gid));
  }
  if (path != "." && (found.mtime_s != wanted.mtime_s || found.mtime_ns != wanted.mtime_ns)) {
    return Differs(path, "has another modification time");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ManifestEnd> WriteTreeManifest(const std::string& folder,
                                              const std::vector<SkippedEntry>& skipped,
                                              const TreeScanLimits& limits,
                                              const std::string& output, std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(folder));
  MTP_ASSIGN_OR_RETURN(PartialFile manifest, PartialFile::Create(output + kPartialSuffix));
  ManifestWriter lines(manifest.fd());
  MTP_RETURN_IF_ERROR(lines.Add(ManifestHeadLine(ManifestOf::kTree)));
  ManifestEnd end;
  const auto take = [&](const ManifestEntry& entry) -> absl::Status {
    if (entry.type == EntryType::kSkipped) {
      ++end.skipped;
    } else {
      ++end.entries;
    }
    if (entry.type == EntryType::kFile || entry.type == EntryType::kHardlink) ++end.files;
    end.content_bytes += entry.size;
    return lines.Add(ManifestLine(entry));
  };
  MTP_RETURN_IF_ERROR(ScanTree(root.get(), limits, take, std::move(stop)));
  for (const SkippedEntry& entry : skipped) {
    ManifestEntry line;
    line.path = entry.path;
    line.type = EntryType::kSkipped;
    line.reason = entry.reason;
    MTP_RETURN_IF_ERROR(take(line));
  }
  MTP_RETURN_IF_ERROR(lines.Add(ManifestLine(end)));
  MTP_RETURN_IF_ERROR(lines.Flush());
  MTP_RETURN_IF_ERROR(manifest.Sync());
  MTP_RETURN_IF_ERROR(manifest.Publish(output, /*replace=*/true));
  MTP_RETURN_IF_ERROR(SyncFolder(FolderOf(output)));
  return end;
}

absl::Status CompareWithTree(const std::string& folder, const std::string& manifest,
                             const TreeScanLimits& limits, std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(folder));
  ManifestReader lines(manifest, ManifestOf::kTree);
  if (!lines.IsOpen()) return absl::NotFoundError(absl::StrCat("there is no manifest ", manifest));
  int64_t entries = 0;
  const auto compare = [&](const ManifestEntry& found) -> absl::Status {
    MTP_ASSIGN_OR_RETURN(const ManifestLineValue wanted, lines.Next());
    if (wanted.kind == ManifestLineValue::Kind::kEnd ||
        ComesBefore(found.path, wanted.entry.path)) {
      return Differs(found.path, "is not in the manifest");
    }
    if (found.path != wanted.entry.path) return Differs(wanted.entry.path, "is missing");
    ++entries;
    return CompareEntry(found, wanted.entry);
  };
  MTP_RETURN_IF_ERROR(ScanTree(root.get(), limits, compare, std::move(stop)));
  MTP_ASSIGN_OR_RETURN(const ManifestLineValue last, lines.Next());
  if (last.kind != ManifestLineValue::Kind::kEnd) return Differs(last.entry.path, "is missing");
  if (last.end.entries == entries) return absl::OkStatus();
  return absl::DataLossError("the manifest lacks lines");
}

}  // namespace mtp
