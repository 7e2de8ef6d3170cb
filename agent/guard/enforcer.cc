#include "agent/guard/enforcer.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <deque>

namespace mtp::guard {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
// While something is left of what had to be killed.
constexpr int64_t kSoonNs = kSecondNs / 5;
// Looks at one group in one round; a process that is in the kernel for long is left to the next
// one.
constexpr int kLooks = 10;
// More folders than any host's control groups have.
constexpr size_t kMaxFolders = 50'000;
constexpr size_t kMaxFileBytes = 1 << 20;

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Never makes the file.
bool WriteTo(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t written = write(file, text.data(), text.size());
  close(file);
  return written == static_cast<ssize_t>(text.size());
}

std::vector<std::string> FoldersIn(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const open_folder = opendir(folder.c_str());
  if (open_folder == nullptr) return names;
  while (const dirent* entry = readdir(open_folder)) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || entry->d_type != DT_DIR) continue;
    names.push_back(name);
  }
  closedir(open_folder);
  return names;
}

// The container's id in the name of its group: `<id>` (cgroupfs) or `docker-<id>.scope` (systemd).
std::string IdIn(std::string name) {
  constexpr std::string_view kPrefix = "docker-";
  constexpr std::string_view kSuffix = ".scope";
  if (name.size() > kPrefix.size() + kSuffix.size() &&
      name.compare(0, kPrefix.size(), kPrefix) == 0 &&
      name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0) {
    name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  }
  return name;
}

// The folder and all beneath it.
std::vector<std::string> Tree(const std::string& top) {
  std::vector<std::string> all = {top};
  for (size_t i = 0; i < all.size() && all.size() < kMaxFolders; ++i) {
    for (const std::string& name : FoldersIn(all[i])) all.push_back(all[i] + "/" + name);
  }
  return all;
}

std::vector<pid_t> Processes(const std::string& group) {
  std::vector<pid_t> pids;
  const std::string text = ReadWhole(group + "/cgroup.procs", kMaxFileBytes).value_or("");
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    // 0 is a process of another PID namespace, which nobody here can signal.
    if (error == std::errc() && pid > 0) pids.push_back(pid);
    at = std::find(next, end, '\n');
    if (at < end) ++at;
  }
  return pids;
}

bool HasProcesses(const std::string& group) {
  const std::vector<std::string> parts = Tree(group);
  return std::any_of(parts.begin(), parts.end(),
                     [](const std::string& part) { return !Processes(part).empty(); });
}

}  // namespace

Enforcer::Enforcer(EnforcerOptions options) : options_(std::move(options)) {}

int64_t Enforcer::Round() {
  ReadLease();
  found_ = left_ = 0;
  const int64_t now = options_.now_ns();
  if (!lease_ || lease_->containers.empty()) return now + kSecondNs;
  if (now < lease_->deadline_ns) return std::min(lease_->deadline_ns, now + kSecondNs);
  Enforce();
  return options_.now_ns() + (left_ > 0 ? kSoonNs : kSecondNs);
}

void Enforcer::ReadLease() {
  const auto content = ReadWhole(options_.folder + "/" + kLeaseFile, kSlots * kSlotBytes);
  if (!content) return;
  std::optional<Lease> lease = DecodeFile(*content);
  // Of an earlier boot: nothing of then runs any more.
  if (lease && lease->boot_id == options_.boot_id) lease_ = std::move(lease);
}

void Enforcer::Enforce() {
  for (const std::string& group : Groups()) {
    if (!Kill(group)) ++left_;
  }
  if (found_ > 0 && told_ != lease_->number) {
    told_ = lease_->number;
    options_.log("the lease is over; killed what ran of " + std::to_string(found_) +
                 " containers that may run only under it");
  }
  if (left_ > 0) options_.log(std::to_string(left_) + " containers still have processes");
}

std::vector<std::string> Enforcer::Groups() const {
  // With version 2 there is one tree; with version 1 each controller has one, and the freezer's
  // shows the same processes and can hold them still.
  std::string top = options_.cgroup_root;
  if (!Exists(top + "/cgroup.controllers")) {
    for (const char* controller : {"/freezer", "/pids", "/memory"}) {
      if (!Exists(options_.cgroup_root + controller)) continue;
      top = options_.cgroup_root + controller;
      break;
    }
  }
  std::vector<std::string> groups;
  std::deque<std::string> open_folders = {top};
  for (size_t seen = 0; !open_folders.empty() && seen < kMaxFolders; ++seen) {
    const std::string folder = std::move(open_folders.front());
    open_folders.pop_front();
    for (const std::string& name : FoldersIn(folder)) {
      std::string path = folder;
      path.append("/").append(name);
      if (lease_->containers.count(IdIn(name)) > 0) {
        groups.push_back(std::move(path));
      } else {
        open_folders.push_back(std::move(path));
      }
    }
  }
  return groups;
}

bool Enforcer::Kill(const std::string& group) {
  if (!HasProcesses(group)) return true;
  ++found_;
  // The kernel kills all of the tree at once, forks included, also frozen ones (Linux 5.14).
  if (WriteTo(group + "/cgroup.kill", "1")) {
    for (int look = 0; look < kLooks; ++look) {
      if (!HasProcesses(group)) return true;
      options_.pause();
    }
  }
  return KillEach(group);
}

bool Enforcer::KillEach(const std::string& group) {
  const std::string freezer = group + "/freezer.state";
  for (int look = 0; look < kLooks; ++look) {
    // Held still, none of them forks away from the signal, and no id becomes another process.
    WriteTo(freezer, "FROZEN");
    bool any = false;
    for (const std::string& part : Tree(group)) {
      for (const pid_t pid : Processes(part)) {
        any = true;
        options_.kill(pid, SIGKILL);
      }
    }
    // In version 1 a signal takes effect once its process is thawed, also one that was paused
    // before.
    WriteTo(freezer, "THAWED");
    if (!any) return true;
    options_.pause();
  }
  return false;
}

}  // namespace mtp::guard
