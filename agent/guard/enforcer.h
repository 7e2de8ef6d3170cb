// The guard's work: when the lease is over, what runs of the containers that are under it is
// killed, whatever agent and engine do. One round at a time, on files alone, so that tests point it
// at a folder.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/guard/lease_text.h"

namespace mtp::guard {

struct EnforcerOptions {
  // Folder that agent and guard share.
  std::string folder;
  // Where the kernel's control groups are. Default `/sys/fs/cgroup`.
  std::string cgroup_root = "/sys/fs/cgroup";
  std::string boot_id;
  // CLOCK_BOOTTIME.
  std::function<int64_t()> now_ns;
  // kill(2).
  std::function<int(pid_t pid, int signal)> kill;
  // Waits a moment between two looks at a group whose processes have been killed.
  std::function<void()> pause;
  // One line for the log.
  std::function<void(const std::string& line)> log;
};

// Not thread-safe.
class Enforcer {
 public:
  explicit Enforcer(EnforcerOptions options);

  // Reads the lease, enforces it when it is over, and returns when to look again (CLOCK_BOOTTIME):
  // at its end, at most a second from now; sooner while something is left that had to be killed. A
  // lease that cannot be read any more is the last one that could.
  int64_t Round();

  // Of the last round, for tests and the log: containers in which processes were found.
  int found() const { return found_; }

 private:
  void ReadLease();
  void Enforce();
  // Folders of the control groups of the containers.
  std::vector<std::string> Groups() const;
  // True when the group and those beneath have no process any more.
  bool Kill(const std::string& group);
  bool KillEach(const std::string& group);

  const EnforcerOptions options_;
  std::optional<Lease> lease_;
  int found_ = 0;
  int left_ = 0;
  uint64_t told_ = 0;  // number of the lease whose end was logged
};

}  // namespace mtp::guard
