// Files that are never half written.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <sys/types.h>

#include <string>

namespace mtp {

// Writes a temporary file beside `path` with exactly `mode`, syncs it, renames it over `path` and
// syncs the folder. After a crash `path` holds the old or the new content. RESOURCE_EXHAUSTED when
// the disk is full.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content, mode_t mode);

// Removes from the folder what a WriteFileAtomically has left that was killed, and which may hold
// what `path` holds no more. Only while nobody writes there. NOT_FOUND when there is no folder.
absl::Status RemoveUnfinishedFiles(const std::string& folder);

// The whole file, at most `max_bytes` (RESOURCE_EXHAUSTED beyond). NOT_FOUND when absent.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Makes the folder and its parents with `mode`, durably; an existing folder is left as it is.
absl::Status MakeFolders(const std::string& path, mode_t mode);

// `a/b` for `a/b/c`, `.` for `c`.
std::string FolderOf(const std::string& path);

// Makes what was created, renamed or removed in the folder durable.
absl::Status SyncFolder(const std::string& path);

// errno as a status with a sentence: `context: strerror`. ENOENT is NOT_FOUND, ENOSPC and EDQUOT
// are RESOURCE_EXHAUSTED, EACCES and EPERM PERMISSION_DENIED, EEXIST ALREADY_EXISTS, all else
// INTERNAL.
absl::Status ErrnoStatus(int error, absl::string_view context);

}  // namespace mtp
