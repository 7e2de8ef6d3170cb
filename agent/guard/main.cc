// mtp-guard: the second, tiny process beside the agent. It ends what may run only under the host's
// lease when the lease is over, also while agent and engine are stopped, hang or are gone
// (docs/decisions/0016-leases.md).
//
//   mtp-guard FOLDER     FOLDER is `guard` in the agent's data folder; made when it is not there
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "agent/guard/enforcer.h"
#include "agent/guard/lease_text.h"

namespace {

using mtp::guard::Beat;
using mtp::guard::Enforcer;
using mtp::guard::EnforcerOptions;

constexpr int64_t kSecondNs = 1'000'000'000;

void Log(const std::string& line) { std::fprintf(stderr, "mtp-guard: %s\n", line.c_str()); }

int Fail(const std::string& what) {
  Log(what + ": " + strerror(errno));
  return 1;
}

// What makes it last on a machine that is short of everything. None of it is needed to work, so a
// refusal is told and borne.
void MakeHardy() {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    Log(std::string("its memory cannot be locked: ") + strerror(errno));
  }
  sched_param parameters{};
  parameters.sched_priority = 1;
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) != 0) {
    Log(std::string("it has no priority of its own: ") + strerror(errno));
  }
  const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, "-1000", 5) != 5) {
    Log(std::string("the kernel may kill it for memory: ") + strerror(errno));
  }
  if (file >= 0) close(file);
}

// One guard a folder; held until the process ends.
bool TakePlace(const std::string& folder) {
  const std::string path = folder + "/" + mtp::guard::kLockFile;
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  return flock(file, LOCK_EX | LOCK_NB) == 0;
}

// In place, so that a full disk does not silence it.
void WriteBeat(int file, const std::string& boot_id) {
  const std::string text =
      mtp::guard::EncodeBeat(Beat{boot_id, mtp::guard::BootTimeNs(), int64_t{getpid()}});
  if (pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    Log(std::string("it cannot say that it lives: ") + strerror(errno));
  }
}

void SleepUntil(int timer, int64_t at_ns) {
  itimerspec when{};
  when.it_value.tv_sec = at_ns / kSecondNs;
  when.it_value.tv_nsec = at_ns % kSecondNs;
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
  uint64_t times = 0;
  (void)!read(timer, &times, sizeof(times));
}

int Guard(const std::string& folder) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return Fail(folder);
  if (!TakePlace(folder)) return Fail("another guard watches " + folder);
  const std::string boot_id = mtp::guard::BootId();
  if (boot_id.empty()) return Fail("the boot's id");
  const int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
  if (timer < 0) return Fail("timerfd");
  const std::string beat_path = folder + "/" + mtp::guard::kBeatFile;
  const int beat = open(beat_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (beat < 0) return Fail(beat_path);
  MakeHardy();
  EnforcerOptions options;
  options.folder = folder;
  options.boot_id = boot_id;
  options.now_ns = mtp::guard::BootTimeNs;
  options.kill = ::kill;
  options.pause = [] { usleep(20'000); };
  options.log = Log;
  Enforcer enforcer(options);
  Log("watches " + folder);
  while (true) {
    const int64_t next = enforcer.Round();
    // After the round: who believes the beat believes that a round was made.
    WriteBeat(beat, boot_id);
    SleepUntil(timer, next);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: mtp-guard FOLDER\n");
    return 2;
  }
  return Guard(argv[1]);
}
