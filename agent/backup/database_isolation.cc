#include "agent/backup/database_isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// SQLite keeps to its own heap limit; the rest is this program.
#if defined(__SANITIZE_ADDRESS__) || defined(_GLIBCXX_TSAN)
constexpr rlim_t kAddressSpaceMax = RLIM_INFINITY;  // their shadow memory takes terabytes of it
#else
constexpr rlim_t kAddressSpaceMax = rlim_t{4} << 30;
#endif
// A level of folders holds one, a database a handful.
constexpr rlim_t kDescriptorsMax = 256;
constexpr rlim_t kProcessorSecondsMax = 2 * 3600;

absl::Status Limit(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return ErrnoStatus(errno, "read a limit");
  // Never raised: a lower one is the operator's.
  const rlim_t least = limit.rlim_max < value ? limit.rlim_max : value;
  limit = {least, least};
  if (setrlimit(resource, &limit) != 0) return ErrnoStatus(errno, "set a limit");
  return absl::OkStatus();
}

absl::Status EnterPrivateRoot() {
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    return ErrnoStatus(errno, "make namespaces for the check of databases");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return ErrnoStatus(errno, "make the mounts private");
  char folder[PATH_MAX];
  if (getcwd(folder, sizeof(folder)) == nullptr) return ErrnoStatus(errno, "name the folder");
  if (mount(folder, folder, nullptr, MS_BIND, nullptr) != 0)
    return ErrnoStatus(errno, "mount the folder");
  if (mount(nullptr, folder, nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            nullptr) != 0)
    return ErrnoStatus(errno, "mount the folder without programs and devices");
  if (chdir(folder) != 0) return ErrnoStatus(errno, "enter the folder");
  // The old root is mounted over the new one and then taken away: pivot_root(2), NOTES.
  if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
    return ErrnoStatus(errno, "make the folder the root");
  return absl::OkStatus();
}

absl::Status Become(uid_t uid, gid_t gid) {
  if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
    return ErrnoStatus(errno, "become another user");
  return absl::OkStatus();
}

// A change of the user undoes what the parent's death does to this process. `parent_lives` ends
// when the parent does, which it may have done before the call.
absl::Status DieWithParent(int parent_lives) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return ErrnoStatus(errno, "follow the parent");
  pollfd ended{parent_lives, POLLIN, 0};
  if (poll(&ended, 1, 0) != 0) _exit(1);
  return absl::OkStatus();
}

[[noreturn]] void ExitAs(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

absl::Status DropTheRest() {
  MTP_RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0));
  MTP_RETURN_IF_ERROR(Limit(RLIMIT_AS, kAddressSpaceMax));
  MTP_RETURN_IF_ERROR(Limit(RLIMIT_NOFILE, kDescriptorsMax));
  MTP_RETURN_IF_ERROR(Limit(RLIMIT_CPU, kProcessorSecondsMax));
  MTP_RETURN_IF_ERROR(Limit(RLIMIT_NPROC, 0));
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return ErrnoStatus(errno, "refuse to be traced");
  return absl::OkStatus();
}

absl::Status SplitOff(uid_t uid, gid_t gid) {
  const pid_t parent = getppid();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make a pipe");
  FileDescriptor parent_lives(ends[0]);
  FileDescriptor living(ends[1]);
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus(errno, "start a process");
  if (child != 0) {
    // Harmless too, though it only waits. Left with its child, `living` ends with it.
    if (!Become(uid, gid).ok() || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(1);
    if (getppid() != parent) _exit(1);
    ExitAs(child);
  }
  living.Reset();
  MTP_RETURN_IF_ERROR(Become(uid, gid));
  return DieWithParent(parent_lives.get());
}

}  // namespace

absl::Status CheckIdentity(int uid, int gid) {
  if (geteuid() == 0 && (uid <= 0 || gid <= 0)) {
    return absl::InvalidArgumentError(
        "the check of databases needs the user and group to become, and neither is root's");
  }
  if (geteuid() != 0 && (uid != -1 || gid != -1)) {
    return absl::InvalidArgumentError(
        "only root can check databases as another user; use -1 for user and group");
  }
  return absl::OkStatus();
}

absl::Status Isolate(int uid, int gid) {
  MTP_RETURN_IF_ERROR(CheckIdentity(uid, gid));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "refuse privileges");
  if (syscall(SYS_close_range, 3, ~0U, 0) != 0) return ErrnoStatus(errno, "close descriptors");
  if (geteuid() == 0) {
    MTP_RETURN_IF_ERROR(EnterPrivateRoot());
    MTP_RETURN_IF_ERROR(SplitOff(static_cast<uid_t>(uid), static_cast<gid_t>(gid)));
  }
  return DropTheRest();
}

}  // namespace mtp
