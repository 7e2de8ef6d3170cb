#include "agent/backup/tree.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/backup/beneath.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Each level of a walk holds one descriptor.
constexpr int kMaxDepth = 128;
constexpr size_t kBatch = 4096;
// Rounds over one folder that remove nothing before it is given up.
constexpr int kMaxIdleRounds = 16;
// Bounds a race with someone who adds entries for ever.
constexpr int64_t kMaxEntries = 200'000'000;

absl::Status Mounted(const std::string& name) {
  return absl::FailedPreconditionError(absl::StrCat("another file system is mounted at `", name,
                                                    "` in the tree; unmount it and try again"));
}

// Removes what is in one tree. Folders that are nested deeper than kMaxDepth are moved to the
// tree's top first, so a tree of any depth needs few descriptors.
class TreeRemover {
 public:
  explicit TreeRemover(int top) : top_(top) {}

  absl::Status RemoveContents(int folder, int depth) {
    int idle_rounds = 0;
    while (true) {
      MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names, SomeNames(folder, kBatch));
      if (names.empty()) return absl::OkStatus();
      const int64_t before = removed_;
      for (const std::string& name : names) {
        MTP_RETURN_IF_ERROR(Remove(folder, name, depth));
      }
      idle_rounds = removed_ > before ? 0 : idle_rounds + 1;
      if (idle_rounds > kMaxIdleRounds || removed_ > kMaxEntries) {
        return absl::AbortedError("entries are added to the tree while it is removed");
      }
    }
  }

 private:
  // What vanished or changed its kind meanwhile is left to the next round.
  absl::Status Remove(int folder, const std::string& name, int depth) {
    if (unlinkat(folder, name.c_str(), 0) == 0) return Removed();
    if (errno == ENOENT) return Removed();
    if (errno != EISDIR && errno != EPERM) return Failed(name);
    if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) return Removed();
    if (errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
    if (errno == EBUSY) return Mounted(name);
    if (errno != ENOTEMPTY && errno != EEXIST) return Failed(name);
    if (depth >= kMaxDepth) return MoveToTop(folder, name);
    int error = 0;
    const FileDescriptor child = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY, &error);
    if (!child.valid()) {
      if (error == EXDEV) return Mounted(name);
      if (error == ENOENT || error == ENOTDIR || error == ELOOP) return absl::OkStatus();
      return ErrnoStatus(error, absl::StrCat("open folder ", name));
    }
    MTP_RETURN_IF_ERROR(RemoveContents(child.get(), depth + 1));
    if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) return Removed();
    return absl::OkStatus();
  }

  absl::Status MoveToTop(int folder, const std::string& name) {
    const std::string moved = absl::StrCat(".removing-", moved_++);
    if (renameat2(folder, name.c_str(), top_, moved.c_str(), RENAME_NOREPLACE) == 0) {
      return Removed();  // Progress for this folder; the top's next round removes it.
    }
    if (errno == EEXIST || errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat("move a deeply nested folder ", name));
  }

  absl::Status Removed() {
    ++removed_;
    return absl::OkStatus();
  }

  static absl::Status Failed(const std::string& name) {
    return ErrnoStatus(errno, absl::StrCat("remove ", name));
  }

  const int top_;
  int64_t removed_ = 0;
  int64_t moved_ = 0;
};

// A file with several names may also be named outside the tree, where the client must not become
// its owner.
bool MayChangeOwner(const struct stat& info, uid_t uid) {
  return S_ISDIR(info.st_mode) || info.st_nlink <= 1 || info.st_uid == uid;
}

absl::Status SetOwnerOf(int folder, const std::string& name, uid_t uid, gid_t gid, int depth) {
  int error = 0;
  const FileDescriptor entry = OpenBeneath(folder, name, O_PATH, &error);
  if (!entry.valid()) {
    if (error == ENOENT && depth > 0) return absl::OkStatus();
    if (error == EXDEV) return Mounted(name);
    return ErrnoStatus(error, absl::StrCat("open ", name));
  }
  struct stat info {};
  if (fstat(entry.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("look at ", name));
  if ((info.st_uid != uid || info.st_gid != gid) && MayChangeOwner(info, uid) &&
      fchownat(entry.get(), "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("set the owner of ", name));
  }
  if (!S_ISDIR(info.st_mode)) return absl::OkStatus();
  if (depth >= kMaxDepth) {
    return absl::FailedPreconditionError(
        absl::StrCat("folders are nested deeper than ", kMaxDepth, " levels"));
  }
  const FileDescriptor opened = OpenBeneath(entry.get(), ".", O_RDONLY | O_DIRECTORY, &error);
  if (!opened.valid()) return ErrnoStatus(error, absl::StrCat("open folder ", name));
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                       ListFolder(opened.get(), static_cast<size_t>(kMaxEntries)));
  for (const std::string& child : names) {
    MTP_RETURN_IF_ERROR(SetOwnerOf(opened.get(), child, uid, gid, depth + 1));
  }
  return absl::OkStatus();
}

absl::Status CheckName(const std::string& name) {
  if (IsPlainName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError("the tree's name must be one component of a path");
}

}  // namespace

absl::Status RemoveTreeBeneath(int folder, const std::string& name) {
  MTP_RETURN_IF_ERROR(CheckName(name));
  if (unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, absl::StrCat("remove ", name));
  int error = 0;
  const FileDescriptor top = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY, &error);
  if (!top.valid()) {
    if (error == EXDEV) return Mounted(name);
    return ErrnoStatus(error, absl::StrCat("open folder ", name));
  }
  MTP_RETURN_IF_ERROR(
      Annotate(TreeRemover(top.get()).RemoveContents(top.get(), 0), absl::StrCat("remove ", name)));
  if (unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  if (errno == EBUSY) return Mounted(name);
  return ErrnoStatus(errno, absl::StrCat("remove ", name));
}

absl::Status RemoveTreeBeneath(const std::string& root, const std::string& name) {
  MTP_RETURN_IF_ERROR(CheckName(name));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFolder(root));
  return Annotate(RemoveTreeBeneath(folder.get(), name), absl::StrCat("in ", root));
}

absl::Status SetOwnerBeneath(const std::string& root, const std::string& name, uid_t uid,
                             gid_t gid) {
  MTP_RETURN_IF_ERROR(CheckName(name));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor folder, OpenFolder(root));
  return Annotate(SetOwnerOf(folder.get(), name, uid, gid, 0),
                  absl::StrCat("set owner of ", root, "/", name));
}

}  // namespace mtp
