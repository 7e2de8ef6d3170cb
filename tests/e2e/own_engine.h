// A Docker Engine of the test's own: in a network namespace and a temporary folder of its own,
// ended by process id.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/temp_folder.h"

namespace mtp::testing {

// Checks again and again until it holds; false after `limit`.
inline bool WaitFor(std::chrono::seconds limit, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

// Output and exit code of a shell command.
inline int Shell(const std::string& command, std::string* output = nullptr) {
  FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return -1;
  char buffer[4096];
  size_t size = 0;
  while ((size = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    if (output != nullptr) output->append(buffer, size);
  }
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class OwnEngine {
 public:
  OwnEngine() { Start(); }
  ~OwnEngine() {
    Docker("ps -aq | xargs -r docker -H " + host() + " rm -f");
    End(SIGTERM);
    // dockerd mounts its data folder on itself and leaves that behind when it was once killed.
    while (umount2((folder_ / "data").c_str(), MNT_DETACH) == 0) {
    }
  }

  std::string socket() const { return folder_ / "docker.sock"; }
  std::string host() const { return "unix://" + socket(); }
  const TempFolder& folder() const { return folder_; }
  // `docker ARGUMENTS` against it.
  int Docker(const std::string& arguments, std::string* output = nullptr) const {
    return Shell("docker -H " + host() + " " + arguments, output);
  }
  bool IsUp() const { return Docker("version") == 0; }

  void Start() {
    const std::string command =
        "ip link set lo up && exec dockerd --data-root " + (folder_ / "data") + " --exec-root " +
        (folder_ / "run") + " --pidfile " + (folder_ / "pid") + " --host " + host() +
        " --userland-proxy=false >>" + (folder_ / "log") + " 2>&1 </dev/null";
    pid_ = fork();
    if (pid_ != 0) return;
    setsid();
    if (unshare(CLONE_NEWNET) != 0) _exit(126);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  void End(int signal) {
    if (pid_ <= 0) return;
    kill(pid_, signal);
    const bool ended = WaitFor(std::chrono::seconds(60),
                               [this] { return waitpid(pid_, nullptr, WNOHANG) == pid_; });
    if (!ended) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }

 private:
  TempFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace mtp::testing
