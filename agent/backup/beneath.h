// Opening and listing inside a folder that belongs to a client. Every name is resolved with
// openat2(2): no symbolic link is followed, nothing outside the folder or on another file system is
// reached, whatever the client does meanwhile.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "common/base/file_descriptor.h"

namespace mtp {

// Opens a trusted folder by path.
absl::StatusOr<FileDescriptor> OpenFolder(const std::string& path);

// Opens `name`, one path component, in `folder`. O_CLOEXEC and O_NOFOLLOW are added to `flags`;
// with O_PATH a symbolic link is opened itself. -1 with errno in `*error` on failure: ELOOP for a
// symbolic link, EXDEV for another file system.
FileDescriptor OpenBeneath(int folder, const std::string& name, int flags, int* error);

// Whether `name` is one plain component of a path: not empty, `.` or `..`, no slash, no NUL.
bool IsPlainName(const std::string& name);

// Names in the folder but `.` and `..`, sorted, at most `limit` (RESOURCE_EXHAUSTED beyond). Reads
// from the folder's beginning.
absl::StatusOr<std::vector<std::string>> ListFolder(int folder, size_t limit);

// At most `limit` names, in no order; for emptying a folder of any size piece by piece.
absl::StatusOr<std::vector<std::string>> SomeNames(int folder, size_t limit);

}  // namespace mtp
