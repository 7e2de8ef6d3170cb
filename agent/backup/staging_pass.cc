#include "agent/backup/staging_pass.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <ctime>

#include "agent/backup/beneath.h"
#include "agent/backup/entry.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace mtp {
namespace {

// Leaves room for the folder that a copy or a restored tree is in; whole paths end at PATH_MAX.
constexpr size_t kMaxPath = 3'800;
constexpr size_t kMaxUnsettledNamed = 100;
// A file that claims more than so many times of what it has on disk claims it by holes, not by a
// file system that compresses.
constexpr int64_t kClaimRatio = 8;
constexpr absl::string_view kSharedMemorySuffix = "-shm";

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// Privileges are not copied; on folders the bits mean inheritance, not privilege.
mode_t CopiedMode(const struct stat& info) {
  return info.st_mode & (S_ISDIR(info.st_mode) ? 07777 : 01777);
}

bool SetAttributes(int copy, const struct stat& info) {
  const timespec times[2] = {{0, UTIME_OMIT}, info.st_mtim};
  return fchown(copy, info.st_uid, info.st_gid) == 0 && fchmod(copy, CopiedMode(info)) == 0 &&
         futimens(copy, times) == 0;
}

}  // namespace

StagingPass::StagingPass(const StagingRequest& request, bool frozen, const CopyBudget& budget,
                         StampTable* stamps, std::vector<SkippedEntry>* skipped)
    : request_(request), frozen_(frozen), budget_(budget), stamps_(stamps), skipped_(skipped) {}

absl::Status StagingPass::Run(int source, int home, const std::string& copy_name) {
  home_ = home;
  struct stat info {};
  if (fstatat(source, request_.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, "look at the tenant's folder");
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError("the tenant's folder is not a folder");
  }
  int error = 0;
  const FileDescriptor from = OpenBeneath(source, request_.name, O_RDONLY | O_DIRECTORY, &error);
  if (!from.valid()) return ErrnoStatus(error, "open the tenant's folder");
  if (fstat(from.get(), &info) != 0) return ErrnoStatus(errno, "look at the tenant's folder");
  device_ = info.st_dev;
  if (mkdirat(home, copy_name.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "make the copy's folder");
  }
  const FileDescriptor to = OpenBeneath(home, copy_name, O_RDONLY | O_DIRECTORY, &error);
  if (!to.valid()) return ErrnoStatus(error, "open the copy's folder");
  copy_root_ = to.get();
  ++result_.entries;
  Folder top{from.get(), to.get(), 0, false, false, nullptr};
  MTP_RETURN_IF_ERROR(VisitContents(&top));
  if (!SetAttributes(to.get(), info)) return ErrnoStatus(errno, "set the copy's attributes");
  return absl::OkStatus();
}

absl::Status StagingPass::VisitContents(Folder* inner) {
  const int64_t left = request_.limits.max_entries - result_.entries;
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                       ListFolder(inner->source, static_cast<size_t>(std::max<int64_t>(left, 0))));
  inner->names = &names;
  const auto forget = absl::MakeCleanup([inner] { inner->names = nullptr; });
  if (!inner->fresh) MTP_RETURN_IF_ERROR(RemoveGone(inner));
  for (const std::string& name : names) {
    MTP_RETURN_IF_ERROR(Visit(inner, name));
  }
  return absl::OkStatus();
}

absl::Status StagingPass::Visit(Folder* folder, const std::string& name) {
  const size_t above = path_.size();
  if (above > 0) path_ += '/';
  path_ += name;
  MTP_RETURN_IF_ERROR(VisitNamed(folder, name));
  path_.resize(above);
  return absl::OkStatus();
}

absl::Status StagingPass::VisitNamed(Folder* folder, const std::string& name) {
  MTP_RETURN_IF_ERROR(budget_.Check());
  if (++result_.entries > request_.limits.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are more than ", request_.limits.max_entries, " files and folders"));
  }
  if (path_.size() > kMaxPath) {
    return Skip(folder, name, absl::StrCat("its path is longer than ", kMaxPath, " bytes"));
  }
  struct stat info {};
  if (fstatat(folder->source, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return SkipOrFail(folder, name, errno);
  }
  if (info.st_dev != device_) return SkipOrFail(folder, name, EXDEV);
  if (request_.exclude && request_.exclude(path_, S_ISDIR(info.st_mode))) {
    return Skip(folder, name, "excluded");
  }
  const Present present = Look(*folder, name);
  if (S_ISDIR(info.st_mode)) return VisitFolder(folder, name, present);
  if (S_ISLNK(info.st_mode)) return VisitSymlink(folder, name, info, present);
  if (!S_ISREG(info.st_mode)) return Skip(folder, name, SpecialKind(info.st_mode));
  if (IsSharedMemory(*folder, name)) {
    return Skip(folder, name, "SQLite's shared memory, rebuilt on opening");
  }
  return VisitFile(folder, name, info, present);
}

absl::Status StagingPass::VisitFolder(Folder* folder, const std::string& name,
                                      const Present& present) {
  if (folder->depth >= request_.limits.max_depth) {
    return Skip(folder, name,
                absl::StrCat("nested deeper than ", request_.limits.max_depth, " folders"));
  }
  int error = 0;
  const FileDescriptor from = OpenBeneath(folder->source, name, O_RDONLY | O_DIRECTORY, &error);
  if (!from.valid()) return SkipOrFail(folder, name, error);
  struct stat info {};
  if (fstat(from.get(), &info) != 0) return SkipOrFail(folder, name, errno);
  if (!present.IsFolder()) {
    MTP_RETURN_IF_ERROR(Remove(folder, name, present));
    if (mkdirat(folder->copy, name.c_str(), 0700) != 0) return Failed(errno, "copy");
    folder->touched = true;
  }
  const FileDescriptor to = OpenBeneath(folder->copy, name, O_RDONLY | O_DIRECTORY, &error);
  if (!to.valid()) return Failed(error, "open the copy of");
  struct stat copy {};
  if (fstat(to.get(), &copy) != 0) return Failed(errno, "look at the copy of");
  const bool known = IsUnchanged(info, present);
  stamps_->Forget(copy.st_ino);
  Folder inner{from.get(), to.get(), folder->depth + 1, !present.IsFolder(), false, nullptr};
  MTP_RETURN_IF_ERROR(VisitContents(&inner));
  if ((!known || inner.touched) && !SetAttributes(to.get(), info)) {
    return Failed(errno, "set the attributes of the copy of");
  }
  stamps_->Put(copy.st_ino, Stamp::Of(info));
  return absl::OkStatus();
}

absl::Status StagingPass::VisitSymlink(Folder* folder, const std::string& name,
                                       const struct stat& info, const Present& present) {
  if (IsUnchanged(info, present)) return absl::OkStatus();
  int error = 0;
  const FileDescriptor link = OpenBeneath(folder->source, name, O_PATH, &error);
  if (!link.valid()) return SkipOrFail(folder, name, error);
  struct stat opened {};
  if (fstat(link.get(), &opened) != 0) return SkipOrFail(folder, name, errno);
  if (!S_ISLNK(opened.st_mode)) return SkipOrFail(folder, name, ENOTDIR);
  std::array<char, PATH_MAX> target;
  const ssize_t size = readlinkat(link.get(), "", target.data(), target.size());
  if (size < 0) return SkipOrFail(folder, name, errno);
  const std::string text(target.data(), static_cast<size_t>(size));
  // restic keeps the names of files as bytes, but where links lead as text: it would come back as
  // another link, and the backup would never match its manifest.
  if (ValidUtf8(text, text.size()) != text) {
    return Skip(folder, name, "a symbolic link whose target is not UTF-8");
  }
  MTP_RETURN_IF_ERROR(Remove(folder, name, present));
  const timespec times[2] = {{0, UTIME_OMIT}, opened.st_mtim};
  struct stat copy {};
  if (symlinkat(text.c_str(), folder->copy, name.c_str()) != 0 ||
      fchownat(folder->copy, name.c_str(), opened.st_uid, opened.st_gid, AT_SYMLINK_NOFOLLOW) !=
          0 ||
      utimensat(folder->copy, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0 ||
      fstatat(folder->copy, name.c_str(), &copy, AT_SYMLINK_NOFOLLOW) != 0) {
    return Failed(errno, "copy");
  }
  folder->touched = true;
  stamps_->Put(copy.st_ino, Stamp::Of(opened));
  return absl::OkStatus();
}

absl::Status StagingPass::VisitFile(Folder* folder, const std::string& name,
                                    const struct stat& named, Present present) {
  const auto first = [this](const struct stat& info) -> const FirstName* {
    if (info.st_nlink <= 1) return nullptr;
    const auto found = first_names_.find(info.st_ino);
    return found == first_names_.end() ? nullptr : &found->second;
  };
  ++result_.files;
  if (IsUnchanged(named, present)) {
    if (const FirstName* other = first(named)) return LinkToFirst(folder, name, *other, present);
    if (named.st_nlink > 1) first_names_[named.st_ino] = {path_, present.info.st_ino};
    bool skip = false;
    MTP_RETURN_IF_ERROR(CountContent(named, &skip));
    return skip ? Skip(folder, name,
                       absl::StrCat("a sparse file that claims ", named.st_size, " bytes"))
                : absl::OkStatus();
  }
  int error = 0;
  // Non-blocking: a fifo that took the file's place meanwhile must not stop the walk.
  const FileDescriptor source = OpenBeneath(folder->source, name, O_RDONLY | O_NONBLOCK, &error);
  if (!source.valid()) return SkipOrFail(folder, name, error);
  const int64_t begin_ns = NowNs();
  if (!frozen_) MTP_RETURN_IF_ERROR(SendToDisk(source.get(), named.st_size, budget_));
  struct stat info {};
  if (fstat(source.get(), &info) != 0) return SkipOrFail(folder, name, errno);
  if (!S_ISREG(info.st_mode)) return SkipOrFail(folder, name, ENOTDIR);
  if (const FirstName* other = first(info)) return LinkToFirst(folder, name, *other, present);
  bool skip = false;
  MTP_RETURN_IF_ERROR(CountContent(info, &skip));
  if (skip) {
    return Skip(folder, name, absl::StrCat("a sparse file that claims ", info.st_size, " bytes"));
  }
  return CopyFile(folder, name, source.get(), info, present, begin_ns);
}

absl::Status StagingPass::CopyFile(Folder* folder, const std::string& name, int source,
                                   const struct stat& info, const Present& present,
                                   int64_t begin_ns) {
  // Only the copy of the same file is changed in place: any other may have a second name.
  const bool patch =
      present.IsFile() && present.stamp.has_value() && present.stamp->inode == info.st_ino;
  if (patch) {
    stamps_->Forget(present.info.st_ino);
  } else {
    MTP_RETURN_IF_ERROR(Remove(folder, name, present));
    folder->touched = true;
  }
  const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (patch ? 0 : O_CREAT | O_EXCL);
  const FileDescriptor copy(openat(folder->copy, name.c_str(), flags, 0600));
  struct stat copied {};
  if (!copy.valid() || fstat(copy.get(), &copied) != 0) return Failed(errno, "copy");
  const absl::StatusOr<int64_t> written =
      patch ? PatchContent(source, copy.get(), info.st_size, budget_)
            : CopyContent(source, copy.get(), info.st_size, budget_);
  if (!written.ok()) return Annotate(written.status(), path_);
  if (!SetAttributes(copy.get(), info)) return Failed(errno, "set the attributes of the copy of");
  ++result_.read_files;
  result_.written_bytes += *written;

  struct stat after {};
  Stamp stamp = Stamp::Of(info);
  const bool settled = fstat(source, &after) == 0 && stamp.Matches(after);
  if (!settled && result_.unsettled.size() < kMaxUnsettledNamed) result_.unsettled.push_back(path_);
  stamp.racy =
      !settled || stamp.ctime_ns + absl::ToInt64Nanoseconds(request_.racy_window) >= begin_ns;
  stamps_->Put(copied.st_ino, stamp);
  if (info.st_nlink > 1) first_names_[info.st_ino] = {path_, copied.st_ino};
  return absl::OkStatus();
}

absl::Status StagingPass::LinkToFirst(Folder* folder, const std::string& name,
                                      const FirstName& first, const Present& present) {
  if (present.exists && present.info.st_ino == first.copy_inode) return absl::OkStatus();
  MTP_RETURN_IF_ERROR(Remove(folder, name, present));
  if (linkat(copy_root_, first.path.c_str(), folder->copy, name.c_str(), 0) != 0) {
    return Failed(errno, "link the copy of");
  }
  folder->touched = true;
  return absl::OkStatus();
}

absl::Status StagingPass::CountContent(const struct stat& info, bool* skip) {
  const int64_t on_disk = static_cast<int64_t>(info.st_blocks) * 512;
  if (info.st_size / kClaimRatio > on_disk) {
    const int64_t claimed = info.st_size - on_disk;
    *skip = claimed > request_.limits.max_claimed_bytes - claimed_bytes_;
    if (*skip) return absl::OkStatus();
    claimed_bytes_ += claimed;
  }
  result_.content_bytes += info.st_size;
  disk_bytes_ += std::min<int64_t>(on_disk, info.st_size);
  if (disk_bytes_ <= request_.limits.max_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the files have more than ", request_.limits.max_bytes, " bytes on disk"));
}

StagingPass::Present StagingPass::Look(const Folder& folder, const std::string& name) const {
  Present present;
  if (folder.fresh || fstatat(folder.copy, name.c_str(), &present.info, AT_SYMLINK_NOFOLLOW) != 0) {
    return present;
  }
  present.exists = true;
  present.stamp = stamps_->Find(present.info.st_ino);
  return present;
}

bool StagingPass::IsUnchanged(const struct stat& info, const Present& present) const {
  return present.exists && present.stamp.has_value() && !present.stamp->racy &&
         present.stamp->Matches(info) && (present.info.st_mode & S_IFMT) == (info.st_mode & S_IFMT);
}

// Beside its database only: a name alone says nothing.
bool StagingPass::IsSharedMemory(const Folder& folder, const std::string& name) const {
  if (!absl::EndsWith(name, kSharedMemorySuffix)) return false;
  return std::binary_search(folder.names->begin(), folder.names->end(),
                            name.substr(0, name.size() - kSharedMemorySuffix.size()));
}

absl::Status StagingPass::RemoveGone(Folder* folder) {
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> copied,
                       ListFolder(folder->copy, static_cast<size_t>(request_.limits.max_entries)));
  for (const std::string& name : copied) {
    if (std::binary_search(folder->names->begin(), folder->names->end(), name)) continue;
    MTP_RETURN_IF_ERROR(budget_.Check());
    MTP_RETURN_IF_ERROR(Remove(folder, name, Look(*folder, name)));
  }
  return absl::OkStatus();
}

absl::Status StagingPass::Remove(Folder* folder, const std::string& name, const Present& present) {
  if (!present.exists) return absl::OkStatus();
  folder->touched = true;
  // Its inode's number may soon be another copy's.
  if (present.info.st_nlink <= 1 || present.IsFolder()) stamps_->Forget(present.info.st_ino);
  if (!present.IsFolder()) {
    if (unlinkat(folder->copy, name.c_str(), 0) == 0) return absl::OkStatus();
    return Failed(errno, "remove the copy of");
  }
  // A whole tree takes time to remove, and the tenant may be waiting.
  const std::string gone = absl::StrCat("gone-", NowNs(), "-", gone_++);
  if (renameat2(folder->copy, name.c_str(), home_, gone.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  return Failed(errno, "set aside the copy of");
}

absl::Status StagingPass::Skip(Folder* folder, const std::string& name, const std::string& reason) {
  if (static_cast<int64_t>(skipped_->size()) >= request_.limits.max_skipped) {
    return absl::ResourceExhaustedError(absl::StrCat("more than ", request_.limits.max_skipped,
                                                     " entries cannot be in a backup, such as `",
                                                     path_, "`: ", reason));
  }
  skipped_->push_back({path_, reason});
  return Remove(folder, name, Look(*folder, name));
}

absl::Status StagingPass::SkipOrFail(Folder* folder, const std::string& name, int error) {
  switch (error) {
    case ENOENT:
      return Skip(folder, name, "vanished while the folder was read");
    case ELOOP:
    case ENOTDIR:
    case ENXIO:
      return Skip(folder, name, "changed its kind while it was read");
    case EXDEV:
      return Skip(folder, name, "on another file system");
    default:
      return Failed(error, "read");
  }
}

absl::Status StagingPass::Failed(int error, const char* what) const {
  return ErrnoStatus(error, absl::StrCat(what, " ", path_));
}

}  // namespace mtp
