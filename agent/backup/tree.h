// Changing a whole tree that belongs to a client, without ever leaving it: every step is by
// descriptor with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV), so a symbolic
// link that appears at any moment is changed or removed itself and never followed. Needs Linux 5.6.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>

namespace mtp {

// Removes `root/name` and all beneath it. `name` is one plain path component. Absent is OK. A
// mounted file system beneath it is refused (FAILED_PRECONDITION) and left whole. Things that are
// added meanwhile are removed too, in a bounded number of passes (ABORTED when they keep coming).
absl::Status RemoveTreeBeneath(const std::string& root, const std::string& name);
// The same in an opened folder.
absl::Status RemoveTreeBeneath(int folder, const std::string& name);

// Gives `root/name` and all beneath it to `uid:gid`; symbolic links are changed themselves. A file
// with other hard links (which may be outside) is left alone unless it already belongs to `uid`.
// NOT_FOUND when `root/name` is absent.
absl::Status SetOwnerBeneath(const std::string& root, const std::string& name, uid_t uid,
                             gid_t gid);

}  // namespace mtp
